"""Every write and flush of a disk, in order, and what it holds if power is cut at any of them.

The log is that of QEMU's filter `blklogwrites`, in the format of the kernel's dm-log-writes
(drivers/md/dm-log-writes.c): a sector that says how many entries follow, then for each entry a
sector that says what it is, with its data behind it. QEMU logs a write once it has ended, and a
flush too.

What is written and not flushed may be on the medium or not, whatever came later; a write of several
sectors may be there in part. What was flushed is there. A write that ended while a flush was on its
way counts as flushed, which a disk would not promise: the log does not tell when that began.
"""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = 0x6A736677736872
VERSION = 1
FLUSH, FUA, DISCARD = 1, 2, 4
ATOM = 512
"""Bytes that are written whole or not at all."""
_SUPER = struct.Struct("<QQQI")
_ENTRY = struct.Struct("<QQQQ")
_SECTORS = (512, 4096)
_PIECE = 1 << 20
_HALF = 0.5


class LogError(Exception):
    """The file is no such log, or not a whole one."""


@dataclass(frozen=True)
class Entry:
    """What the disk was told to do."""

    offset: int
    """Bytes from the beginning of the disk."""
    size: int
    """Bytes; 0 for a flush."""
    flags: int
    data_at: int
    """Where in the log its data lie."""

    @property
    def flushes(self) -> bool:
        """Whether all that was written before it is on the medium from then on."""
        return bool(self.flags & FLUSH)

    @property
    def lasts(self) -> bool:
        """Whether it is itself on the medium once it is done."""
        return bool(self.flags & FUA)


@dataclass(frozen=True)
class Piece:
    """Bytes of the log that are on the medium."""

    offset: int
    size: int
    data_at: int


def told_so_far(path: Path) -> int:
    """How many entries the disk's last flush left in the log, itself included; 0 before the first.

    May be asked while the log is being written.

    Raises:
        LogError: it is no such log.
    """
    with path.open("rb") as file:
        head = file.read(_SUPER.size)
    return _count_and_sector(path, head)[0] if any(head) else 0


def read_entries(path: Path) -> list[Entry]:
    """All entries of a log that nobody writes to any more.

    A write that the end of the emulator cut off, and what follows it, does not count.

    Raises:
        LogError: it is no such log, or has fewer whole entries than it says.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        count, sector = _count_and_sector(path, file.read(_SUPER.size))
        entries = list(_entries(path, file.fileno(), size, sector))
    if len(entries) < count:
        raise LogError(f"{path}: has {len(entries)} entries, and says {count}")
    return entries


def _count_and_sector(path: Path, head: bytes) -> tuple[int, int]:
    if len(head) < _SUPER.size:
        raise LogError(f"{path}: is too short for a log of writes")
    magic, version, count, sector = _SUPER.unpack(head)
    if (magic, version) != (MAGIC, VERSION) or sector not in _SECTORS:
        raise LogError(f"{path}: is no log of writes of version {VERSION}")
    return count, sector


def _entries(path: Path, descriptor: int, end: int, sector: int) -> Iterator[Entry]:
    at = sector
    while at + sector <= end:
        first, sectors, flags, _ = _ENTRY.unpack(os.pread(descriptor, _ENTRY.size, at))
        if flags & ~(FLUSH | FUA | DISCARD):
            raise LogError(f"{path}: byte {at}: flags {flags:#x}, which QEMU does not write")
        if not sectors and not flags:
            return
        entry = Entry(first * sector, sectors * sector, flags, at + sector)
        at += sector + (0 if flags & DISCARD else entry.size)
        if at > end:
            return
        yield entry


def safe_before(entries: Sequence[Entry], at: int) -> int:
    """How many of the first `at` entries are on the medium whatever happens: up to a flush."""
    return next((end for end in range(at, 0, -1) if entries[end - 1].flushes), 0)


def survivors(
    entries: Sequence[Entry], at: int, chance: random.Random | None, *, torn: bool = False
) -> list[Piece]:
    """What is on the medium of the writes between the last flush and a cut.

    Args:
        entries: of the log.
        at: entries that the disk was given before the cut.
        chance: decides which writes are there; None: all are.
        torn: of a write that is not there, some atoms may be, each for itself.

    Returns:
        In the order in which they were written.
    """
    found: list[Piece] = []
    for entry in entries[safe_before(entries, at) : at]:
        for piece in _writes([entry]):
            if chance is None or entry.lasts or chance.random() < _HALF:
                found.append(piece)
            elif torn:
                found += _some_atoms(piece, chance)
    return found


def _some_atoms(piece: Piece, chance: random.Random) -> list[Piece]:
    return [
        Piece(piece.offset + begin, min(ATOM, piece.size - begin), piece.data_at + begin)
        for begin in range(0, piece.size, ATOM)
        if chance.random() < _HALF
    ]


class Region:
    """A part of the disk, as a sparse file of its own that goes forward with the log."""

    def __init__(self, log: Path, entries: Sequence[Entry], begin: int, size: int) -> None:
        """Of bytes `begin` to `begin + size` of the disk whose log this is."""
        self._log, self._entries, self._begin, self._size = log, entries, begin, size
        self._done = 0

    def cut_out(self, disk: Path, path: Path) -> None:
        """Make `path` what the region held before the first entry; `disk` is raw."""
        with disk.open("rb") as read, path.open("wb") as write:
            write.truncate(self._size)
            read.seek(self._begin)
            for at in range(0, self._size, _PIECE):
                piece = read.read(min(_PIECE, self._size - at))
                if piece.count(0) != len(piece):
                    write.seek(at)
                    write.write(piece)
        self._done = 0

    def forward(self, path: Path, count: int) -> None:
        """Bring `path` to what the region held after `count` entries; never fewer than before.

        Raises:
            LogError: something was written elsewhere on the disk.
        """
        assert count >= self._done, "time does not go back"
        self.write(path, _writes(self._entries[self._done : count]))
        self._done = count

    def write(self, path: Path, pieces: Iterable[Piece]) -> None:
        """Write pieces of the log into `path`, a copy of the region.

        Raises:
            LogError: one of them lies elsewhere on the disk.
        """
        with self._log.open("rb") as read, path.open("r+b") as write:
            for piece in pieces:
                at = piece.offset - self._begin
                if not 0 <= at <= self._size - piece.size:
                    raise LogError(f"{piece.size} bytes were written at {piece.offset}, elsewhere")
                read.seek(piece.data_at)
                write.seek(at)
                write.write(read.read(piece.size))


def _writes(entries: Iterable[Entry]) -> Iterator[Piece]:
    for entry in entries:
        # What is discarded may hold anything afterwards, what it held among that.
        if entry.size and not entry.flags & DISCARD:
            yield Piece(entry.offset, entry.size, entry.data_at)
