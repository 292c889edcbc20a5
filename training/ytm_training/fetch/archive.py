"""What was asked for and what came of it: a line each, never changed, on disk before anything else.

An id, an outcome and a time, and no titles. It is a record for people, and it tells a run that
follows an interruption how soon it may ask again.
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ytm_bundle.errors import DatasetError
from ytm_bundle.files import sync_folder

ARCHIVE_NAME = "archive.jsonl"


@dataclass(frozen=True)
class Entry:
    """What came of asking for a video."""

    id: str
    """The source."""
    outcome: str
    """`kept`, or why not."""
    final: bool
    """Whether it is settled; if not, it is asked for again."""
    at: float
    """When, in seconds since 1970. It only ever shortens a wait, so a wrong date does no harm."""


class Archive:
    """The archive of a dataset, open for adding to."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / ARCHIVE_NAME

    def entries(self) -> list[Entry]:
        """Everything in it; a last line that a power cut left half is passed over.

        Raises:
            DatasetError: it cannot be read.
        """
        try:
            lines = self._path.read_text(encoding="utf-8", errors="replace").splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise DatasetError(f"{self._path}: cannot be read ({error.strerror})") from error
        return [entry for line in lines if (entry := _entry(line)) is not None]

    def add(self, source: str, outcome: str, *, final: bool) -> None:
        """Add a line, durably.

        Raises:
            DatasetError: it cannot be written.
        """
        line = json.dumps({"id": source, "outcome": outcome, "final": final, "at": time.time()})
        try:
            begun = self._path.exists()
            with self._path.open("a+b") as file:
                file.write(_line_end(file) + line.encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            if not begun:
                sync_folder(self._path.parent)
        except OSError as error:
            raise DatasetError(f"{self._path}: cannot be written ({error.strerror})") from error


def _line_end(file: BinaryIO) -> bytes:
    """What ends a line that a power cut left half."""
    if file.seek(0, os.SEEK_END) == 0:
        return b""
    file.seek(-1, os.SEEK_END)
    return b"" if file.read(1) == b"\n" else b"\n"


def _entry(line: str) -> Entry | None:
    try:
        fields = json.loads(line)
        return Entry(
            str(fields["id"]), str(fields["outcome"]), bool(fields["final"]), float(fields["at"])
        )
    except (ValueError, TypeError, KeyError):
        return None


def wait_s(entries: list[Entry], spacing_s: float, now: float) -> float:
    """Seconds that a run must still wait after the last of `entries`.

    Args:
        entries: of the archive.
        spacing_s: seconds from one video to the next.
        now: seconds since 1970.
    """
    if not entries:
        return 0.0
    return min(max(0.0, entries[-1].at + spacing_s - now), spacing_s)
