"""Collecting: video after video into shards, to be continued where it was broken off."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from ytm_bundle.errors import DatasetError
from ytm_training.collect.choice import CHOICE_NAME
from ytm_training.collect.events import Tell, silent
from ytm_training.collect.executors import Hands, open_hands
from ytm_training.collect.files import Found
from ytm_training.collect.line import Line
from ytm_training.collect.report import REPORT_NAMES, Report
from ytm_training.collect.sidecar import Sidecar
from ytm_training.collect.store import COLLECTING_NAME, Store
from ytm_training.collect.work import FileWork, Work
from ytm_training.dataset import SHARDS_NAME, Outcome, Settings, read_dataset, shard_paths
from ytm_training.fetch.archive import ARCHIVE_NAME, Archive, wait_s
from ytm_training.fetch.manners import BlockedError, Manners, Pace
from ytm_training.splitting import (
    MIN_SOURCES,
    SPLIT_NAME,
    SplitRule,
    check_rule,
    stored_split,
)

_LOCK_NAME = ".lock"
_OURS = {
    *(SHARDS_NAME, SPLIT_NAME, _LOCK_NAME, COLLECTING_NAME, ARCHIVE_NAME, CHOICE_NAME),
    *REPORT_NAMES,
}

_LATER = frozenset({"unreadable", "unreachable", "too many requests", "refused (403)", "not a bot"})
"""Reasons that may be gone when the command is run again."""


def collect(
    files: Sequence[Found],
    sidecar: Sidecar,
    settings: Settings,
    rule: SplitRule,
    left_out: int,
    out: Path,
) -> Report:
    """Collect `files` into the dataset at `out`, here and now; `gather` says the rest.

    Args:
        files: what was found in the folder of videos.
        sidecar: what is known of them.
        settings: how to choose.
        rule: how to divide the videos between learning and measuring.
        left_out: files that conditions leave out, for the report.
        out: the dataset's folder, made if need be.
    """
    works = [FileWork(file, sidecar.facts(file.source)) for file in files]
    with open_hands(1, None) as hands:
        return gather(works, settings, rule, LeftOut(left_out), out, hands)


@dataclass(frozen=True)
class LeftOut:
    """Videos that conditions leave out, for the report."""

    count: int
    by: str = "--only"


def gather(
    works: Sequence[Work],
    settings: Settings,
    rule: SplitRule,
    left_out: LeftOut,
    out: Path,
    hands: Hands,
    manners: Manners | None = None,
    tell: Tell = silent,
) -> Report:
    """Work on videos and put them into the dataset at `out`; those it has already are passed over.

    Args:
        works: the videos.
        settings: how to choose in each.
        rule: how to divide the videos between learning and measuring.
        left_out: what conditions leave out.
        out: the dataset's folder, made if need be.
        hands: what does the work.
        manners: how to ask others for videos.
        tell: told what happens.

    Raises:
        DatasetError: nothing can be kept, `out` is something else, or was started otherwise.
        BlockedError: others give us no more; what is finished is kept.
    """
    with _locked(out):
        known = _known(out, settings)
        check_rule(out, rule)
        store = Store(out, settings, known)
        blocked = _work_through(works, settings, store, out, hands, manners or Manners(), tell)
        outcomes = sorted(store.outcomes.values(), key=lambda outcome: outcome.file)
        report = Report(settings, tuple(outcomes), left_out.count, left_out.by)
        if shard_paths(out):
            _divide(out, outcomes, rule)
            report.write(out)
        if blocked is not None:
            raise BlockedError(f"{blocked}. {report.summary()}") from blocked
        if not shard_paths(out):
            store.clear()
            raise DatasetError(f"{out}: not made, since no video could be used; {report.summary()}")
        return report


def _work_through(
    works: Sequence[Work],
    settings: Settings,
    store: Store,
    out: Path,
    hands: Hands,
    manners: Manners,
    tell: Tell,
) -> BlockedError | None:
    """Do what is still to be done; why it ended early, if it did."""
    archive = Archive(out)
    earliest_s = time.monotonic()
    if any(work.asks for work in works):
        entries = archive.entries()
        earliest_s += wait_s(entries, manners.mean_wait_s, time.time())
        _complete(archive, works, store, {entry.id for entry in entries if entry.final})
        store.sections.mkdir(parents=True, exist_ok=True)
    pace = Pace(manners, settings.seed, earliest_s)
    pending = _in_turn(works, store.outcomes)
    try:
        Line(pending, settings, store, archive, hands, manners, pace, tell).run()
    except BlockedError as blocked:
        return blocked
    finally:
        # What is complete is kept, whatever ended it.
        store.join()
        store.close()
    return None


def _complete(archive: Archive, works: Sequence[Work], store: Store, archived: set[str]) -> None:
    """Put into the archive what was made durable just before a run was killed."""
    for work in works:
        outcome = store.outcomes.get(work.source)
        if work.asks and outcome is not None and work.source not in archived:
            archive.add(work.source, outcome.reason or "kept", final=True)


def _in_turn(works: Sequence[Work], known: dict[str, Outcome]) -> list[Work]:
    """The works to be done: those that are new, then those that failed and may do no longer."""
    pending = [work for work in works if _is_new(work, known)]
    return sorted(pending, key=lambda work: work.asks and work.source in known)


def _is_new(work: Work, known: dict[str, Outcome]) -> bool:
    """Whether to work on a video: not yet seen, or skipped and since changed."""
    outcome = known.get(work.source)
    if outcome is None or outcome.reason in _LATER:
        return True
    return not outcome.kept and work.stamp != (outcome.size_bytes, outcome.modified_ns)


def _divide(out: Path, outcomes: Sequence[Outcome], rule: SplitRule) -> None:
    """Give every video its part, as soon as there are enough to be divided."""
    sources = [outcome.file for outcome in outcomes if outcome.kept]
    if len(sources) >= MIN_SOURCES:
        stored_split(out, sources, rule)


def check_folder(out: Path, settings: Settings) -> None:
    """Check that there may be a dataset at `out`: that there is nothing, or one begun like this.

    Raises:
        DatasetError: there is something else.
    """
    if out.is_dir():
        _known(out, settings)


def _known(out: Path, settings: Settings) -> dict[str, Outcome]:
    """What the dataset at `out` holds already; nothing if there is none."""
    if not shard_paths(out):
        strange = {path.name for path in out.iterdir()} - _OURS
        if strange:
            raise DatasetError(
                f"{out}: is there and is not a dataset (it holds {min(strange)!r}); give another"
                " --out"
            )
        return {}
    dataset = read_dataset(out)
    if dataset.settings() != settings:
        raise DatasetError(
            f"{out}: was started with {dataset.settings().described()}, not with"
            f" {settings.described()}; use those, or give another --out"
        )
    return dataset.outcomes()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Make the folder and hold it alone; a folder made in vain goes again."""
    made = [path for path in (out, *out.parents) if not path.exists()]
    lock = out / _LOCK_NAME
    try:
        out.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except OSError as error:
        raise DatasetError(f"{out}: cannot be written to ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise DatasetError(f"{out}: another ytm-collect is writing to it") from error
        try:
            _sweep(out)
            yield
        finally:
            lock.unlink(missing_ok=True)
            with suppress(OSError):
                for path in made:
                    path.rmdir()


def _sweep(out: Path) -> None:
    """Remove what a killed run left half-written."""
    for path in (*out.glob(".*.partial*"), *(out / SHARDS_NAME).glob(".*.partial*")):
        path.unlink(missing_ok=True)
