"""The line of videos: turns, waits, tries and what is told of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ytm_bundle.errors import DatasetError
from ytm_training.collect.events import Event, PutOff, Settled, StageDone, Started, Waiting
from ytm_training.collect.executors import Hands, InPlace
from ytm_training.collect.line import Line
from ytm_training.collect.store import Store
from ytm_training.collect.work import Done
from ytm_training.dataset import Outcome, Settings, encode_shard
from ytm_training.fetch.archive import Archive
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.manners import Manners, Pace

SETTINGS = Settings(1, 0, 48000)
HOURLY = Manners(per_hour=60, jitter=0.0)


@dataclass
class Answered:
    """A work whose answers are known: faults, then that the video is too short."""

    source: str
    faults: list[FetchError] = field(default_factory=list)
    asks: bool = True
    stamp: tuple[int, int] = (0, 0)
    performed: int = 0

    def perform(self, settings: Settings) -> Done:
        self.performed += 1
        fault = self.faults.pop(0) if self.faults else None
        outcome = Outcome(self.source, 0, fault.reason if fault else "too short")
        events: list[Event] = [StageDone(self.source, "fetch", 0.5, 100)]
        return Done(outcome, encode_shard(settings, [], [outcome]), events, fault)


def worked(works: list[Answered], folder: Path, manners: Manners = HOURLY):
    """What is told, and the seconds that are slept."""
    told: list[Event] = []
    slept: list[float] = []
    store, pace = Store(folder, SETTINGS, {}), Pace(manners, 0)
    line = Line(
        *(works, SETTINGS, store, Archive(folder), Hands(InPlace(), 1), manners, pace),
        *(told.append, slept.append),
    )
    line.run()
    return told, slept, store


def unreachable() -> FetchError:
    return FetchError("unreachable", "again")


def test_the_time_left_includes_the_waiting(tmp_path) -> None:
    told, slept, _ = worked([Answered(str(number)) for number in range(5)], tmp_path)
    left = [event.left_s for event in told if isinstance(event, Settled)]
    # Nobody really slept, so each wait is counted from the very beginning.
    assert left[0] == pytest.approx(5 * 60, abs=30)
    assert len(slept) == 4
    waits = [event for event in told if isinstance(event, Waiting)]
    assert [wait.seconds for wait in waits] == slept
    assert waits[0].seconds == pytest.approx(60, abs=30)


def test_files_that_are_here_are_not_waited_for(tmp_path) -> None:
    works = [Answered(str(number), asks=False) for number in range(5)]
    told, slept, _ = worked(works, tmp_path)
    assert slept == []
    assert not (tmp_path / "archive.jsonl").exists()
    assert sum(isinstance(event, Settled) for event in told) == 5


def test_a_video_is_asked_for_three_times_and_others_meanwhile(tmp_path) -> None:
    bad = Answered("bad", [unreachable() for _ in range(9)])
    late = Answered("late", [unreachable()])
    told, _, store = worked([bad, late, Answered("good")], tmp_path, Manners(per_hour=36000))
    assert [event.source for event in told if isinstance(event, Started)] == [
        *("bad", "late", "good", "bad", "late", "bad")
    ]
    assert [event.source for event in told if isinstance(event, PutOff)] == ["bad", "late", "bad"]
    assert store.outcomes["bad"].reason == "unreachable"
    assert store.outcomes["late"].reason == "too short"
    assert sum(isinstance(event, StageDone) for event in told) == 6
    final = [entry.id for entry in Archive(tmp_path).entries() if entry.final]
    assert final == ["good", "late", "bad"]


def test_what_failed_in_a_run_before_is_asked_for_once(tmp_path) -> None:
    manners = Manners(per_hour=36000)
    worked([Answered("bad", [unreachable() for _ in range(9)])], tmp_path, manners)
    again = Answered("bad", [unreachable() for _ in range(9)])
    worked([again], tmp_path, manners)
    assert again.performed == 1


def test_what_was_durable_is_there_after_a_kill_and_not_twice(tmp_path) -> None:
    worked([Answered("a"), Answered("b")], tmp_path, Manners(per_hour=36000))
    # As a kill leaves it: rows that are safe, no shard yet.
    assert set(Store(tmp_path, SETTINGS, {}).outcomes) == {"a", "b"}
    known = {"a": Outcome("a", 0, "too short")}
    assert set(Store(tmp_path, SETTINGS, known).outcomes) == {"a", "b"}
    assert len(list((tmp_path / ".collecting" / "rows").iterdir())) == 1
    with pytest.raises(DatasetError, match="was started with --per-video 1"):
        Store(tmp_path, Settings(2, 0, 48000), {})


def test_an_executor_that_breaks_is_an_error_that_names_the_video(tmp_path) -> None:
    class Broken(InPlace):
        def submit(self, fn, /, *args, **kwargs):
            return super().submit(int, "no number")

    store, pace = Store(tmp_path, SETTINGS, {}), Pace(HOURLY, 0)
    line = Line(
        *([Answered("a")], SETTINGS, store, Archive(tmp_path), Hands(Broken(), 1), HOURLY, pace),
        lambda event: None,
    )
    with pytest.raises(DatasetError, match="a: whoever worked on it died"):
        line.run()
