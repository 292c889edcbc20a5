"""Writing that survives a power cut: temporary name, fsync of file and folder, rename."""

from __future__ import annotations

import ctypes
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = -100
_RENAME_EXCHANGE = 2


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the contents of `path` durable."""
    with path.open("rb") as file:
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; on success it takes the place of `path` at once.

    On failure the temporary file goes and `path` is as it was. The temporary name keeps the
    suffix, since encoders choose their format by it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.partial{path.suffix}")
    try:
        yield temporary
        sync_file(temporary)
        temporary.replace(path)
        sync_folder(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """Give a temporary folder beside `path`; on success it takes the place of the folder `path`.

    Every file in it is made durable first. A folder that stood there is removed last.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    retired = path.with_name(f".{path.name}.{os.getpid()}.old")
    # Of a process with this one's number that lost its power: numbers recur at every start.
    for left in (temporary, retired):
        shutil.rmtree(left, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        for file in temporary.rglob("*"):
            sync_folder(file) if file.is_dir() else sync_file(file)
        sync_folder(temporary)
        _exchange(temporary, path, retired)
        sync_folder(path.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)


def _exchange(temporary: Path, path: Path, retired: Path) -> None:
    """Put `temporary` in the place of `path`, and what stood there at `retired`.

    At once where the file system can, so that at every moment one of the two stands at `path`.
    """
    if not path.exists():
        temporary.rename(path)
    elif _swap(temporary, path):
        temporary.rename(retired)
    else:
        path.rename(retired)
        try:
            temporary.rename(path)
        except OSError:
            retired.rename(path)
            raise


def _swap(first: Path, second: Path) -> bool:
    """Exchange two names in one step; False where the system or the file system cannot."""
    try:
        renameat2 = ctypes.CDLL(None).renameat2
    except AttributeError:
        return False
    names = os.fsencode(first.absolute()), os.fsencode(second.absolute())
    return bool(renameat2(_HERE, names[0], _HERE, names[1], _RENAME_EXCHANGE) == 0)
