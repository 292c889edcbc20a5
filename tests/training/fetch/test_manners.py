"""How fast to ask, by times alone."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ytm_training.fetch.archive import Archive, Entry, wait_s
from ytm_training.fetch.faults import FetchError
from ytm_training.fetch.manners import HOUR_S, BlockedError, Manners, Pace

REFUSED = FetchError("refused (403)", "blocked")
UNREACHABLE = FetchError("unreachable", "again")


def starts(pace: Pace, count: int) -> list[float]:
    """When `count` videos are asked for, each as soon as it may be, none taking any time."""
    now_s, begun = 0.0, []
    for _ in range(count):
        now_s += pace.due_s(now_s)
        begun.append(now_s)
        pace.begin(now_s)
    return begun


@settings(max_examples=100)
@given(st.integers(1, 1000), st.integers(0, 100))
def test_in_no_hour_are_more_asked_for_than_allowed(per_hour, seed) -> None:
    begun = starts(Pace(Manners(per_hour=per_hour), seed), 3 * per_hour)
    for first, later in zip(begun, begun[per_hour:], strict=False):
        assert later - first >= HOUR_S * (1 - 1e-9)


def test_the_waits_differ_and_their_mean_is_as_said() -> None:
    manners = Manners(per_hour=100)
    begun = starts(Pace(manners, 0), 2000)
    waits = [later - first for first, later in itertools.pairwise(begun)]
    assert len(set(waits)) > 1900
    assert sum(waits) / len(waits) == pytest.approx(manners.mean_wait_s, rel=0.02)


def test_the_default_lies_well_under_what_youtube_limits() -> None:
    assert Manners().per_hour <= 300 / 2


def limited(retry_after_s: float | None = None) -> FetchError:
    return FetchError("too many requests", "limited", retry_after_s)


def test_pauses_double_until_somebody_answers() -> None:
    manners = Manners(per_hour=3600, jitter=0.0, refusals=100)
    pace, pauses = Pace(manners, 0), []
    for _ in range(8):
        pace.begin(0.0)
        pace.end(0.0, limited())
        pauses.append(pace.due_s(0.0))
    assert pauses == [60, 120, 240, 480, 960, 1920, 3600, 3600]
    pace.end(3600.0, None)
    pace.end(3600.0, limited())
    assert pace.due_s(3600.0) == 60


def test_a_server_that_says_how_long_is_believed_within_reason() -> None:
    pace = Pace(Manners(per_hour=3600, jitter=0.0, refusals=100), 0)
    pace.end(0.0, limited(600.0))
    assert pace.due_s(0.0) == 600
    pace.end(0.0, limited(1e9))
    assert pace.due_s(0.0) == HOUR_S


def test_refusals_in_a_row_end_it_and_say_what_to_do() -> None:
    pace = Pace(Manners(refusals=3), 0)
    for fault in (REFUSED, REFUSED, None, REFUSED, UNREACHABLE, limited(0.0)):
        pace.end(0.0, fault)
    with pytest.raises(BlockedError, match=r"3 times in a row .*--cookies.*--per-hour") as caught:
        pace.end(0.0, REFUSED)
    assert "refused (403)" in str(caught.value)


def test_an_interruption_is_no_way_around_the_pace() -> None:
    entries = [Entry("a", "kept", True, 900.0), Entry("b", "kept", True, 1000.0)]
    assert wait_s(entries, 30.0, 1010.0) == 20.0
    assert wait_s(entries, 30.0, 5000.0) == 0.0
    assert wait_s([], 30.0, 5.0) == 0.0
    # A clock that was wrong delays nobody for long.
    assert wait_s(entries, 30.0, -1e9) == 30.0
    assert Pace(Manners(), 0, earliest_s=20.0).due_s(5.0) == 15.0


def test_the_archive_only_grows_and_survives_half_a_line(tmp_path) -> None:
    archive = Archive(tmp_path)
    archive.add("a", "unreachable", final=False)
    archive.add("a", "kept", final=True)
    before = (tmp_path / "archive.jsonl").read_bytes()
    (tmp_path / "archive.jsonl").write_bytes(before + b'{"id": "b", "out')
    archive.add("c", "removed", final=True)
    assert (tmp_path / "archive.jsonl").read_bytes().startswith(before)
    found = [(entry.id, entry.outcome, entry.final) for entry in archive.entries()]
    assert found == [("a", "unreachable", False), ("a", "kept", True), ("c", "removed", True)]
    assert Archive(tmp_path / "none").entries() == []
