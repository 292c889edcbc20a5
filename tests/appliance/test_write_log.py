"""The log of a disk's writes: read back as QEMU wrote it, refused where it is something else."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from appliance.acknowledged import Change, History
from appliance.write_log import (
    ATOM,
    DISCARD,
    FLUSH,
    FUA,
    MAGIC,
    Entry,
    LogError,
    Piece,
    Region,
    read_entries,
    safe_before,
    survivors,
    told_so_far,
)

K = 1024
DISK_BYTES = 1024 * K


def super_block(count: int, *, magic: int = MAGIC, version: int = 1, sector: int = 512) -> bytes:
    return struct.pack("<QQQI", magic, version, count, sector).ljust(512, b"\0")


def entry(sector: int, sectors: int, flags: int = 0, data: bytes = b"") -> bytes:
    return struct.pack("<QQQQ", sector, sectors, flags, 0).ljust(512, b"\0") + data


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.mark.skipif(shutil.which("qemu-io") is None, reason="needs qemu-io (qemu-utils)")
def test_what_qemu_logged_rebuilds_the_disk_it_wrote(tmp_path: Path, log: Path) -> None:
    disk, before, rebuilt = (tmp_path / name for name in ("disk", "before", "rebuilt"))
    before.write_bytes(b"\x09" * DISK_BYTES)
    shutil.copy(before, disk)
    log.touch()
    told = ["write -P 1 64k 4k", "write -P 2 80k 1k", "flush", "write -z 96k 4k"]
    told += ["write -P 3 64k 512", "discard 128k 4k", "flush"]
    commands = [word for each in told for word in ("-c", each)]
    options = (
        f"driver=blklogwrites,file.driver=file,file.filename={disk},discard=unmap,"
        f"log.driver=file,log.filename={log}"
    )
    subprocess.run(["qemu-io", *commands, "--image-opts", options], check=True, capture_output=True)

    entries = read_entries(log)
    assert [(each.offset, each.size, each.flags) for each in entries if not each.flushes] == [
        (64 * K, 4 * K, 0),
        (80 * K, K, 0),
        (96 * K, 4 * K, 0),
        (64 * K, 512, 0),
        (128 * K, 4 * K, DISCARD),
    ]
    flushes = [number for number, each in enumerate(entries) if each.flushes]
    assert flushes[0] == 2
    assert flushes[-1] == len(entries) - 1
    assert told_so_far(log) == len(entries)

    region = Region(log, entries, 0, DISK_BYTES)
    region.cut_out(before, rebuilt)
    region.forward(rebuilt, len(entries))
    held, wanted = rebuilt.read_bytes(), bytearray(disk.read_bytes())
    # What was discarded may hold anything.
    assert held[128 * K : 132 * K] == b"\x09" * 4 * K
    wanted[128 * K : 132 * K] = held[128 * K : 132 * K]
    assert held == wanted

    part = Region(log, entries, 64 * K, 64 * K)
    part.cut_out(before, rebuilt)
    part.forward(rebuilt, 2)
    assert rebuilt.read_bytes()[: 4 * K] == b"\x01" * 4 * K
    part.forward(rebuilt, len(entries))
    assert rebuilt.read_bytes()[: 4 * K] == b"\x03" * 512 + b"\x01" * (4 * K - 512)
    assert rebuilt.read_bytes()[32 * K : 36 * K] == bytes(4 * K)


def a_log(*flags_and_sizes: tuple[int, int]) -> list[Entry]:
    """Writes of so many atoms, one behind the other, and flushes, of no atoms."""
    return [
        Entry(number * 64 * K, atoms * ATOM, flags, number)
        for number, (flags, atoms) in enumerate(flags_and_sizes)
    ]


def test_what_was_flushed_is_safe_and_nothing_else() -> None:
    entries = a_log((0, 1), (FLUSH, 0), (0, 1), (0, 1), (FLUSH, 0), (0, 1))
    assert [safe_before(entries, at) for at in range(7)] == [0, 0, 2, 2, 2, 5, 5]


def test_a_cut_loses_any_of_what_was_not_flushed_and_no_order_is_kept() -> None:
    entries = a_log((0, 1), (FLUSH, 0), (0, 1), (0, 1), (FUA, 1), (DISCARD, 1), (FLUSH, 0))
    lost, kept, lasts = (Piece(64 * K * at, ATOM, at) for at in (2, 3, 4))
    assert survivors(entries, 6, None) == [lost, kept, lasts]
    assert survivors(entries, 7, None) == []
    chance = random.Random(1)
    seen = {tuple(survivors(entries, 6, chance)) for _ in range(100)}
    assert seen == {(lasts,), (lost, lasts), (kept, lasts), (lost, kept, lasts)}


def test_a_torn_write_is_there_in_whole_atoms() -> None:
    entries = a_log((0, 3))
    chance = random.Random(1)
    seen = {tuple(survivors(entries, 1, chance, torn=True)) for _ in range(200)}
    atoms = [Piece(at, ATOM, at) for at in range(0, 3 * ATOM, ATOM)]
    assert (atoms[0], atoms[2]) in seen
    assert () in seen
    assert (Piece(0, 3 * ATOM, 0),) in seen
    assert all(set(pieces) <= {*atoms, Piece(0, 3 * ATOM, 0)} for pieces in seen)


def test_a_log_that_is_being_written_says_what_was_flushed(log: Path) -> None:
    log.touch()
    assert told_so_far(log) == 0
    log.write_bytes(bytes(512) + entry(8, 1, 0, b"x" * 512))
    assert told_so_far(log) == 0
    log.write_bytes(super_block(2) + entry(8, 1, 0, b"x" * 512) + entry(0, 0, FLUSH))
    assert told_so_far(log) == 2


def test_what_the_end_of_the_emulator_cut_off_does_not_count(log: Path) -> None:
    whole = super_block(1) + entry(8, 1, 0, b"x" * 512)
    for rest in (entry(9, 2, 0, b"y" * 512), bytes(2048), entry(9, 1)[:100]):
        log.write_bytes(whole + rest)
        assert read_entries(log) == [Entry(8 * 512, 512, 0, 1024)]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"short", "too short"),
        (super_block(0, magic=1), "no log of writes"),
        (super_block(0, version=2), "no log of writes"),
        (super_block(0, sector=0), "no log of writes"),
        (super_block(1), "has 0 entries, and says 1"),
        (super_block(1) + entry(0, 1 << 62, 0, b"x" * 512), "has 0 entries, and says 1"),
        (super_block(1) + entry(0, 1, 8, b"x" * 512), "flags 0x8"),
    ],
)
def test_what_is_no_whole_log_is_refused(log: Path, content: bytes, why: str) -> None:
    log.write_bytes(content)
    with pytest.raises(LogError, match=why):
        read_entries(log)


def test_a_write_outside_the_region_is_refused(tmp_path: Path, log: Path) -> None:
    log.write_bytes(super_block(1) + entry(8, 1, 0, b"x" * 512))
    entries = read_entries(log)
    part = tmp_path / "part"
    for begin, size in ((8 * 512 + 1, 4096), (0, 8 * 512), (9 * 512, 4096)):
        region = Region(log, entries, begin, size)
        part.write_bytes(bytes(size))
        with pytest.raises(LogError, match="elsewhere"):
            region.forward(part, 1)


def test_what_was_acknowledged_must_be_there_and_what_was_begun_may_be() -> None:
    history = History([Change("a", 2, 4), Change("b", 5, 9)])
    assert {at: history.allowed(at) for at in (1, 2, 3, 4, 5, 8, 9, 20)} == {
        1: [None],
        2: [None, "a"],
        3: [None, "a"],
        4: ["a"],
        5: ["a", "b"],
        8: ["a", "b"],
        9: ["b"],
        20: ["b"],
    }
