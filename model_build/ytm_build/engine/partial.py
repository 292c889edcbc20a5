"""Files that arrive in pieces, over connections that may be cut."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ytm_build.engine.wire import PIECE_BYTES, FileSpec, Pipe
from ytm_bundle.checksums import digest_file
from ytm_bundle.errors import EngineError
from ytm_bundle.files import sync_file, sync_folder

_SUFFIX = ".part"


class Arriving:
    """A folder that files arrive in; what has arrived of one stays when the connection is cut."""

    def __init__(self, folder: Path) -> None:
        """In `folder`, which is made."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def offset(self, file: FileSpec) -> int | None:
        """From which byte on `file` is lacking; None if it is there, whole."""
        whole, part = self._paths(file)
        if whole.is_file():
            if digest_file(whole) == file.sha256:
                return None
            whole.unlink()
        if not part.is_file():
            return 0
        size = part.stat().st_size
        if size > file.size:
            part.unlink()
            return 0
        return size

    def take(self, file: FileSpec, offset: int, pipe: Pipe, moved: Callable[[int], object]) -> None:
        """Take the rest of `file`, from byte `offset` on; `moved` is told of every piece.

        Raises:
            WireError: the connection is cut; what has arrived stays.
            EngineError: what is there now is not what was announced; it is removed.
        """
        whole, part = self._paths(file)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("r+b" if offset else "wb") as target:
            target.truncate(offset)
            target.seek(offset)
            left = file.size - offset
            while left:
                piece = pipe.some(min(left, PIECE_BYTES))
                target.write(piece)
                left -= len(piece)
                moved(len(piece))
        if digest_file(part) != file.sha256:
            part.unlink()
            raise EngineError(f"{file.name}: was damaged on the way; run the same command again")
        sync_file(part)
        part.replace(whole)
        sync_folder(whole.parent)

    def _paths(self, file: FileSpec) -> tuple[Path, Path]:
        whole = self.folder / file.name
        return whole, whole.with_name(whole.name + _SUFFIX)


def pieces(path: Path, offset: int, size: int) -> Iterator[bytes]:
    """So much of a file, from byte `offset` on.

    Raises:
        EngineError: it is shorter.
    """
    with path.open("rb") as file:
        file.seek(offset, os.SEEK_SET)
        while size:
            piece = file.read(min(size, PIECE_BYTES))
            if not piece:
                raise EngineError(f"{path}: is shorter than it was")
            size -= len(piece)
            yield piece


def spec_of(folder: Path, name: str) -> FileSpec:
    """What a file of `folder` is."""
    path = folder / name
    return FileSpec(name=name, size=path.stat().st_size, sha256=digest_file(path))
