"""What of a dataset is safe on disk while it is being collected.

Every video's rows are written at once, as a shard of their own in a folder beside the dataset's
shards; from time to time many of them are joined into one shard that readers see. Killed between
any two steps, nothing is lost and nothing stands twice.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from ytm_bundle.errors import DatasetError
from ytm_bundle.files import replacing
from ytm_training.collect.work import Done
from ytm_training.dataset import Outcome, Settings, join_shards, read_note, shard_paths
from ytm_training.fetch.section import section_folder

SHARD_ROWS = 32
"""Rows after which a shard is written; about 15 MB."""
COLLECTING_NAME = ".collecting"

_PARTS, _SECTIONS = "rows", "sections"


def sections_folder(out: Path) -> Path:
    """Where what is fetched for the dataset at `out` waits until it is in rows."""
    return out.absolute() / COLLECTING_NAME / _SECTIONS


class Store:
    """The rows of a dataset that grows; one process at a time has it."""

    def __init__(self, out: Path, settings: Settings, known: dict[str, Outcome]) -> None:
        """Take up what a run before made durable.

        Args:
            out: the dataset's folder.
            settings: what it is collected with.
            known: the outcomes that its shards hold.

        Raises:
            DatasetError: that run had other settings.
        """
        self._settings, self.outcomes = settings, dict(known)
        self._out, self._folder = out, out / COLLECTING_NAME
        self._pending: dict[str, Path] = {}
        self._recover()

    @property
    def sections(self) -> Path:
        """The folder for what is fetched and not yet in rows."""
        return sections_folder(self._out)

    def add(self, done: Done) -> bool:
        """Make rows and outcome durable; whether they say anything new.

        Raises:
            DatasetError: they cannot be written.
        """
        outcome = done.outcome
        if outcome == self.outcomes.get(outcome.file):
            return False
        path = self._part(outcome.file)
        try:
            with replacing(path) as temporary:
                temporary.write_bytes(done.part)
        except OSError as error:
            raise DatasetError(
                f"{path}: cannot be written ({error.strerror}); make room, run again"
            ) from error
        self._pending[outcome.file] = path
        self.outcomes[outcome.file] = outcome
        if sum(self.outcomes[source].kept for source in self._pending) >= SHARD_ROWS:
            self.join()
        return True

    def join(self) -> None:
        """Join what was gathered into a shard; a dataset begins only once there is a row."""
        rows = sum(self.outcomes[source].kept for source in self._pending)
        if not rows and not (self._pending and shard_paths(self._out)):
            return
        # Forgotten first: an interruption just after the shard stands must not write it twice.
        pending, self._pending = self._pending, {}
        join_shards(self._out, list(pending.values()))
        for path in pending.values():
            path.unlink(missing_ok=True)

    def forget_section(self, source: str) -> None:
        """Remove what was fetched of a video whose rows are safe."""
        seed, count = self._settings.seed, self._settings.per_video
        shutil.rmtree(section_folder(self.sections, source, seed, count), ignore_errors=True)

    def close(self) -> None:
        """Leave nothing behind that a run which follows has no use for."""
        for folder in (self._folder / _PARTS, self.sections, self._folder):
            with suppress(OSError):
                folder.rmdir()

    def clear(self) -> None:
        """Forget everything that is not in a shard."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _part(self, source: str) -> Path:
        name = hashlib.sha256(source.encode("utf-8", "surrogateescape")).hexdigest()[:24]
        return self._folder / _PARTS / f"{name}.parquet"

    def _recover(self) -> None:
        """Take up what a run that was killed had made durable."""
        for path in sorted(self._left()):
            settings, (outcome,) = read_note(path)
            if settings != self._settings:
                raise DatasetError(
                    f"{self._out}: was started with {settings.described()}, not with"
                    f" {self._settings.described()}; use those, or give another --out"
                )
            if outcome == self.outcomes.get(outcome.file):
                # Its shard was written, and then the run was killed.
                path.unlink()
            else:
                self._pending[outcome.file] = path
                self.outcomes[outcome.file] = outcome

    def _left(self) -> Iterator[Path]:
        for path in (self._folder / _PARTS).glob("*.parquet"):
            if path.name.startswith("."):
                path.unlink()
            else:
                yield path
        for path in self.sections.glob(".*"):
            shutil.rmtree(path, ignore_errors=True)
        if self.sections.is_dir():
            for source in self.outcomes:
                self.forget_section(source)
