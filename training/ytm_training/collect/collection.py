"""Collecting: file after file into shards, to be continued where it was broken off."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from rich.progress import track

from ytm_bundle.errors import DatasetError
from ytm_device.console import messages
from ytm_training.collect.extract import extract
from ytm_training.collect.files import Found
from ytm_training.collect.report import REPORT_NAMES, Report
from ytm_training.collect.sidecar import Sidecar
from ytm_training.dataset import (
    SHARDS_NAME,
    Outcome,
    Settings,
    read_dataset,
    shard_paths,
    write_shard,
)
from ytm_training.segment import Segment
from ytm_training.splitting import (
    MIN_SOURCES,
    SPLIT_NAME,
    SplitRule,
    check_rule,
    stored_split,
)

SHARD_ROWS = 32
"""Rows after which a shard is written; about 15 MB."""

_LOCK_NAME = ".lock"


def collect(
    files: Sequence[Found],
    sidecar: Sidecar,
    settings: Settings,
    rule: SplitRule,
    left_out: int,
    out: Path,
) -> Report:
    """Collect `files` into the dataset at `out`; files that it has already are passed over.

    Args:
        files: what was found in the folder of videos.
        sidecar: what is known of them.
        settings: how to choose.
        rule: how to divide the videos between learning and measuring.
        left_out: files that conditions leave out, for the report.
        out: the dataset's folder, made if need be.

    Raises:
        DatasetError: nothing can be kept, `out` is something else, or was started otherwise.
    """
    with _locked(out):
        known = _known(out, settings)
        check_rule(out, rule)
        shards = _Shards(out, settings, known)
        try:
            for file in _shown([file for file in files if _is_new(file, known)]):
                shards.add(*_taken(file, sidecar, settings))
        finally:
            # What is complete is kept, whatever ended the loop.
            shards.write()
        outcomes = sorted(shards.outcomes.values(), key=lambda outcome: outcome.file)
        report = Report(settings, tuple(outcomes), left_out)
        if not shard_paths(out):
            raise DatasetError(f"{out}: not made, since no video could be used; {report.summary()}")
        _divide(out, outcomes, rule)
        report.write(out)
        return report


def _divide(out: Path, outcomes: Sequence[Outcome], rule: SplitRule) -> None:
    """Give every video its part, as soon as there are enough to be divided."""
    sources = [outcome.file for outcome in outcomes if outcome.kept]
    if len(sources) >= MIN_SOURCES:
        stored_split(out, sources, rule)


class _Shards:
    """Gathers the rows of whole videos until there are enough for a shard."""

    def __init__(self, out: Path, settings: Settings, known: dict[str, Outcome]) -> None:
        self.outcomes = dict(known)
        self._out, self._settings = out, settings
        # A file's outcome and rows go in together: an interruption must not part them.
        self._pending: list[tuple[Outcome, list[Segment]]] = []

    def add(self, outcome: Outcome, segments: list[Segment]) -> None:
        if outcome == self.outcomes.get(outcome.file):
            return
        self._pending.append((outcome, segments))
        self.outcomes[outcome.file] = outcome
        if sum(len(rows) for _, rows in self._pending) >= SHARD_ROWS:
            self.write()

    def write(self) -> None:
        """Write what was gathered; a dataset begins only once there is a row."""
        rows = [segment for _, segments in self._pending for segment in segments]
        if not rows and not (self._pending and shard_paths(self._out)):
            return
        # Forgotten first: an interruption just after the shard stands must not write it twice.
        pending, self._pending = self._pending, []
        write_shard(self._out, self._settings, rows, [outcome for outcome, _ in pending])


def _shown(files: Sequence[Found]) -> Iterator[Found]:
    quiet = not messages.is_terminal
    yield from track(files, "collecting", console=messages, disable=quiet, transient=True)


def _is_new(file: Found, known: dict[str, Outcome]) -> bool:
    """Whether to look at a file: not yet seen, or skipped and since changed."""
    outcome = known.get(file.source)
    if outcome is None or outcome.reason == "unreadable":
        return True
    stamp = (outcome.size_bytes, outcome.modified_ns)
    return not outcome.kept and stamp != (file.size_bytes, file.modified_ns)


def _taken(file: Found, sidecar: Sidecar, settings: Settings) -> tuple[Outcome, list[Segment]]:
    outcome = Outcome(file.source, 0, file.reason, file.note, file.size_bytes, file.modified_ns)
    if file.reason is not None:
        return outcome, []
    extracted = extract(file.path, file.source, sidecar.facts(file.source), settings)
    segments = extracted.segments
    return (
        replace(outcome, kept=len(segments), reason=extracted.reason, note=extracted.note),
        segments,
    )


def _known(out: Path, settings: Settings) -> dict[str, Outcome]:
    """What the dataset at `out` holds already; nothing if there is none."""
    if not shard_paths(out):
        ours = {SHARDS_NAME, SPLIT_NAME, _LOCK_NAME, *REPORT_NAMES}
        strange = {path.name for path in out.iterdir()} - ours
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
