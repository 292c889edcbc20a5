"""The files of a folder, each by its path inside it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ytm_bundle.errors import UsageError
from ytm_training.media import Reason


@dataclass(frozen=True)
class Found:
    """A file, or why there is none."""

    path: Path
    source: str
    """Path inside the folder, with `/`; bytes that are not UTF-8 are written `\\xNN`."""
    size_bytes: int = 0
    modified_ns: int = 0
    reason: Reason | None = None
    """Why it cannot be a video; None if it may be one."""
    note: str = ""


def find_files(folder: Path, beside: frozenset[Path]) -> list[Found]:
    """List the files of `folder` and its subfolders in the order of their names.

    Links to files are followed, links to folders are not (they may lead in circles). Names that
    begin with a dot are left alone, as are the paths in `beside`.

    Raises:
        UsageError: `folder` cannot be listed or holds no files.
    """
    if not folder.is_dir():
        raise UsageError(f"--videos {folder}: not a folder; give the folder that holds the videos")
    left_out = {path.absolute() for path in beside}
    found: list[Found] = []

    def unlisted(error: OSError) -> None:
        path = Path(str(error.filename))
        found.append(
            Found(path, _source(folder, path), reason="unreadable", note=error.strerror or "")
        )

    for parent, folders, names in os.walk(folder, onerror=unlisted):
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and (here / name).absolute() not in left_out
        ]
        for path in (here / name for name in (*names, *links) if not name.startswith(".")):
            if path.absolute() not in left_out:
                found.append(_found(folder, path))
    if not found:
        raise UsageError(f"--videos {folder}: holds no files; give the folder that holds videos")
    return sorted(found, key=lambda file: file.source)


def _found(folder: Path, path: Path) -> Found:
    source = _source(folder, path)
    if path.is_dir():
        return Found(path, source, reason="not a video", note="a link to a folder; not followed")
    try:
        status = path.stat()
    except OSError as error:
        return Found(path, source, reason="unreadable", note=error.strerror or "")
    return Found(path, source, status.st_size, status.st_mtime_ns)


def _source(folder: Path, path: Path) -> str:
    name = path.relative_to(folder).as_posix()
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
