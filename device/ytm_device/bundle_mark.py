"""Telling one bundle at a path from another without reading it."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

from ytm_bundle.checksums import ENGINES_FOLDER

MOST_FILES = 2000
"""That are looked at: twice as many as a bundle may have."""

Mark = tuple[tuple[str, int, int, int, int], ...]
"""Name, device, inode, size and time of each file."""


def mark_of(path: Path) -> Mark | None:
    """What stands at `path`, a folder or a file; None if nothing does, or it is being changed.

    Engines do not count: they are added on the board.
    """
    try:
        if not path.is_dir():
            return (_entry(path),)
        names = (each.relative_to(path) for each in path.rglob("*"))
        counted = (path / name for name in names if name.parts[0] != ENGINES_FOLDER)
        return tuple(sorted(map(_entry, islice(counted, MOST_FILES))))
    except OSError:
        return None


def _entry(path: Path) -> tuple[str, int, int, int, int]:
    found = path.stat()
    return str(path), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
