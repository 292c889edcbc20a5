"""A disk image: what other tools read in it."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from ytm_build.image.boot import environment
from ytm_build.image.disk import (
    ALIGNED,
    BIOS_BOOT,
    LINUX,
    SECTOR,
    Partition,
    aligned,
    make_startable,
    starts,
    write_disk,
)
from ytm_bundle.errors import ImageError

IDENTITY = "59544D52-4D49-5252-4F52-000000000100"

pytestmark = pytest.mark.skipif(shutil.which("sfdisk") is None, reason="needs sfdisk")


def partitions(folder: Path) -> list[Partition]:
    (folder / "core").write_bytes(b"\x90" * 3 * SECTOR)
    (folder / "root").write_bytes(b"root" * 1000 + bytes(ALIGNED) + b"end")
    return [
        Partition("ytm-bios", BIOS_BOOT, ALIGNED, folder / "core"),
        Partition("ytm-a", LINUX, 2 * ALIGNED, folder / "root"),
        Partition("ytm-b", LINUX, 2 * ALIGNED),
    ]


def test_the_partitions_are_where_the_table_says(tmp_path: Path) -> None:
    disk, parts = tmp_path / "disk", partitions(tmp_path)
    write_disk(disk, parts, IDENTITY)
    table = json.loads(subprocess.check_output(["sfdisk", "--json", disk]))["partitiontable"]
    assert table["label"] == "gpt"
    assert table["id"] == IDENTITY
    assert [each["name"] for each in table["partitions"]] == ["ytm-bios", "ytm-a", "ytm-b"]
    assert [each["start"] * SECTOR for each in table["partitions"]] == starts(parts)
    whole = disk.read_bytes()
    for part, begin in zip(parts, starts(parts), strict=True):
        held = b"" if part.content is None else part.content.read_bytes()
        assert whole[begin : begin + len(held)] == held
        assert not any(whole[begin + len(held) : begin + part.size])


def test_holes_stay_holes(tmp_path: Path) -> None:
    disk, parts = tmp_path / "disk", partitions(tmp_path)
    write_disk(disk, parts, IDENTITY)
    assert disk.stat().st_blocks * SECTOR < disk.stat().st_size / 4


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(ALIGNED + 1))
    with pytest.raises(ImageError, match="ytm-a: 1 MB do not fit"):
        write_disk(
            tmp_path / "disk", [Partition("ytm-a", LINUX, ALIGNED, tmp_path / "large")], IDENTITY
        )
    assert not (tmp_path / "disk").exists()


@pytest.mark.parametrize(("size", "expected"), [(0, 0), (1, ALIGNED), (ALIGNED, ALIGNED)])
def test_sizes_are_aligned(size: int, expected: int) -> None:
    assert aligned(size) == expected


def test_a_bios_finds_the_rest_of_grub(tmp_path: Path) -> None:
    images = Path("/usr/lib/grub/i386-pc")
    if not images.is_dir():
        pytest.skip("needs grub-pc-bin")
    disk, parts = tmp_path / "disk", partitions(tmp_path)
    write_disk(disk, parts, IDENTITY)
    core = tmp_path / "core.img"
    subprocess.run(["grub-mkimage", "-O", "i386-pc", "-o", core, "-p", "/", "biosdisk"], check=True)
    make_startable(disk, (images / "boot.img").read_bytes(), core.read_bytes(), ALIGNED)
    whole = disk.read_bytes()
    assert whole[510:512] == b"\x55\xaa"
    (first,) = struct.unpack_from("<Q", whole, 0x5C)
    assert first * SECTOR == ALIGNED
    start, sectors = struct.unpack_from("<QH", whole, ALIGNED + 0x1F4)
    rest = core.read_bytes()[SECTOR:]
    assert start * SECTOR == ALIGNED + SECTOR
    assert sectors == -(-len(rest) // SECTOR)
    assert whole[start * SECTOR :][: len(rest)] == rest
    assert subprocess.run(["sfdisk", "--verify", disk], capture_output=True).returncode == 0


def test_what_is_not_grubs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(4 * ALIGNED))
    with pytest.raises(ImageError, match="unexpected size"):
        make_startable(tmp_path / "disk", bytes(100), bytes(2000), ALIGNED)


def test_grubs_own_tool_reads_the_environment(tmp_path: Path) -> None:
    if shutil.which("grub-editenv") is None:
        pytest.skip("needs grub-common")
    (tmp_path / "grubenv").write_bytes(environment({"slot": "b", "tries": "2"}))
    listed = subprocess.check_output(["grub-editenv", tmp_path / "grubenv", "list"], text=True)
    assert listed == "slot=b\ntries=2\n"
