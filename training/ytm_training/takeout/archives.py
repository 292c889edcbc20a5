"""Files inside a zip or tar as streams; nothing is written to disk and no name is followed."""

from __future__ import annotations

import gzip
import os
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from ytm_bundle.errors import TakeoutError
from ytm_training.takeout.entry import shortened
from ytm_training.takeout.streams import DAMAGE, Meter, Stream, check_ratio
from ytm_training.takeout.text import Readable

Ignore = Callable[[str, str], None]
"""Told the name of what is left out, and why."""
ARCHIVE_SUFFIXES = (".zip", ".tgz", ".tar.gz", ".tar")
MAX_DIRECTORY_BYTES = 256 << 20
"""Of a zip; more than two million files."""
_HEADER_BYTES = 16 << 20
_TAR_MARK_AT = 257
_MAX_COMMENT = 0xFFFF
_ELSEWHERE = 0xFFFFFFFF
_END = struct.Struct("<12xL6x")
_LOCATOR_64 = struct.Struct("<8xQ4x")
_END_64 = struct.Struct("<40xQ8x")
_SUFFIXES = (".json", ".html", ".htm")


def may_be_history(name: str) -> bool:
    """Whether a file so named can hold a history: suffixes are not translated."""
    return name.casefold().endswith(_SUFFIXES)


def json_first(name: str) -> tuple[bool, str]:
    """Sorts JSON, whose times are exact, before HTML."""
    return not name.casefold().endswith(".json"), name


def is_archive(path: Path) -> bool:
    """Whether `path` is a zip or tar, whatever its name."""
    try:
        return _is_zip(path) or _is_gzip(path) or _begins(path, b"ustar", _TAR_MARK_AT)
    except OSError:
        return False


def archived(path: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    """Each file in an archive that may be a history; a stream is good until the next.

    Raises:
        TakeoutError: the archive is damaged before its files can be listed, or is a bomb.
    """
    yield from _zipped(path, meter, ignore) if _is_zip(path) else _tarred(path, meter, ignore)


def _is_zip(path: Path) -> bool:
    return _begins(path, b"PK")


def _is_gzip(path: Path) -> bool:
    return _begins(path, b"\x1f\x8b")


def _begins(path: Path, mark: bytes, at: int = 0) -> bool:
    with path.open("rb") as file:
        file.seek(at)
        return file.read(len(mark)) == mark


def _zipped(path: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    _check_directory(path)
    try:
        archive = zipfile.ZipFile(path)
    except DAMAGE as error:
        raise _damaged(path, error) from error
    with archive:
        members = [info for info in archive.infolist() if not info.is_dir()]
        for info in sorted(members, key=lambda info: json_first(info.filename)):
            name = f"{path.name}: {shortened(info.filename)}"
            if info.filename.casefold().endswith(ARCHIVE_SUFFIXES):
                ignore(name, "an archive in an archive; unpack it and give the folder")
            if not may_be_history(info.filename):
                continue
            if info.flag_bits & 1:
                ignore(name, "encrypted; unpack it with its password and give the folder")
                continue
            try:
                file = archive.open(info)
            except DAMAGE as error:
                ignore(name, f"damaged: {shortened(str(error))}")
                continue
            with file:
                yield Stream(name, file, info.compress_size, meter)


def _check_directory(path: Path) -> None:
    """Refuse a zip whose list of files alone would fill the memory."""
    if _directory_bytes(path) > MAX_DIRECTORY_BYTES:
        raise TakeoutError(
            f"{path}: lists more than {MAX_DIRECTORY_BYTES >> 20} MiB of names, which no export of"
            " Google does; give the history alone"
        )


def _directory_bytes(path: Path) -> int:
    """How long a zip says that its list of files is (APPNOTE 4.3.14 to 4.3.16)."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _END.size - _MAX_COMMENT))
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise TakeoutError(f"{path}: a zip that is cut off; download it again")
        (listed_bytes,) = _END.unpack_from(tail, at)
        locator = at - _LOCATOR_64.size
        if listed_bytes == _ELSEWHERE and tail[max(0, locator) : at].startswith(b"PK\6\7"):
            (offset,) = _LOCATOR_64.unpack_from(tail, locator)
            file.seek(min(offset, size))
            (listed_bytes,) = _END_64.unpack(file.read(_END_64.size).ljust(_END_64.size, b"\0"))
    return int(listed_bytes)


class _Unpacked:
    """The bytes of a tar, at most as many as are due and never far more than were packed."""

    def __init__(self, path: Path, raw: Readable, tell: Callable[[], int]) -> None:
        self._path, self._raw, self._tell = path, raw, tell
        self._bytes = self._due = 0

    def allow(self, size: int) -> None:
        """Let `size` more bytes be read."""
        self._due = self._bytes + size

    def read(self, size: int, /) -> bytes:
        """At most `size` bytes.

        Raises:
            TakeoutError: more than allowed, or far more than were packed.
        """
        read = self._raw.read(size)
        self._bytes += len(read)
        check_ratio(str(self._path), self._bytes, self._tell())
        if self._bytes > self._due:
            raise TakeoutError(f"{self._path}: a tar with a header without end; download it again")
        return read


def _tarred(path: Path, meter: Meter, ignore: Ignore) -> Iterator[Stream]:
    found = False
    with path.open("rb") as packed:
        raw: Readable = gzip.GzipFile(fileobj=packed) if _is_gzip(path) else packed
        unpacked = _Unpacked(path, raw, packed.tell)
        unpacked.allow(_HEADER_BYTES)
        try:
            archive = tarfile.open(fileobj=unpacked, mode="r|")  # type: ignore[call-overload]  # noqa: SIM115
            while (member := archive.next()) is not None:
                unpacked.allow(max(member.size, 0) + _HEADER_BYTES)
                archive.members.clear()
                found = True
                yield from _tar_member(path, archive, member, meter, ignore)
        except DAMAGE as error:
            if not found:
                raise _damaged(path, error) from error
            ignore(path.name, f"damaged: {shortened(str(error)) or type(error).__name__}")


def _tar_member(
    path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, meter: Meter, ignore: Ignore
) -> Iterator[Stream]:
    name = f"{path.name}: {shortened(member.name)}"
    if member.isreg() and member.name.casefold().endswith(ARCHIVE_SUFFIXES):
        ignore(name, "an archive in an archive; unpack it and give the folder")
    if member.isreg() and may_be_history(member.name):
        file = archive.extractfile(member)
        if file is not None:
            # What was packed of a member is not known; the tar as a whole is watched.
            yield Stream(name, file, member.size, meter)


def _damaged(path: Path, error: Exception) -> TakeoutError:
    detail = shortened(str(error)) or type(error).__name__
    return TakeoutError(f"{path}: cannot be unpacked ({detail}); download it again")
