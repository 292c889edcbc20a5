"""A disk image: partitions laid out, filled, and made startable, without mounts or loop devices."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ytm_bundle.errors import ImageError

SECTOR = 512
ALIGNED = 1 << 20
"""Bytes to a multiple of which every partition begins."""
LINUX = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"
SYSTEM = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
_GPT_BYTES = ALIGNED
"""Kept free at the end, for the copy of the partition table."""
# Where GRUB's first sectors say where the rest of it is: grub-core/boot/i386/pc/{boot,diskboot}.S
_BOOT_WHERE = 0x5C
_BOOT_CODE = 440
_BLOCKS_WHERE = 0x1F4


@dataclass(frozen=True)
class Partition:
    """One partition, and what is in it."""

    name: str
    kind: str
    """Its type, as a GUID."""
    size: int
    """Bytes, a multiple of `ALIGNED`."""
    content: Path | None = None
    """A file system, or other bytes, at most `size`; None leaves it empty."""


def aligned(size: int) -> int:
    """`size` bytes, rounded up so that a partition of it ends where the next may begin."""
    return -(-size // ALIGNED) * ALIGNED


def starts(partitions: Sequence[Partition]) -> list[int]:
    """The byte at which each partition begins."""
    begin, found = ALIGNED, []
    for partition in partitions:
        found.append(begin)
        begin += partition.size
    return found


def write_disk(path: Path, partitions: Sequence[Partition], identity: str) -> None:
    """Write a sparse image with a GPT and the content of every partition.

    Args:
        path: made anew.
        partitions: in the order in which they lie.
        identity: GUID of the disk; those of the partitions follow from it.

    Raises:
        ImageError: a content is larger than its partition, or sfdisk fails.
    """
    begins = starts(partitions)
    for partition in partitions:
        held = 0 if partition.content is None else partition.content.stat().st_size
        if held > partition.size:
            raise ImageError(
                f"{partition.name}: {held / 1e6:.0f} MB do not fit into"
                f" {partition.size / 1e6:.0f} MB"
            )
    with path.open("wb") as file:
        file.truncate(begins[-1] + partitions[-1].size + _GPT_BYTES)
    table = ["label: gpt", f"label-id: {identity}", "unit: sectors", "sector-size: 512"]
    for number, (partition, begin) in enumerate(zip(partitions, begins, strict=True), 1):
        uuid = f"{identity[:-2]}{number:02X}"
        table.append(
            f"start={begin // SECTOR}, size={partition.size // SECTOR}, type={partition.kind},"
            f' uuid={uuid}, name="{partition.name}"'
        )
    made = subprocess.run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(path)],
        input="\n".join(table) + "\n",
        text=True,
        capture_output=True,
        check=False,
    )
    if made.returncode != 0:
        raise ImageError(f"{path}: sfdisk failed ({made.stderr.strip()})")
    for partition, begin in zip(partitions, begins, strict=True):
        if partition.content is not None:
            copy_sparse(partition.content, path, begin)


def copy_sparse(source: Path, target: Path, begin: int) -> None:
    """Copy `source` into `target` from byte `begin` on, leaving holes where there is nothing."""
    with source.open("rb") as read, target.open("r+b") as write:
        write.seek(begin)
        while piece := read.read(ALIGNED):
            if piece.count(0) == len(piece):
                write.seek(len(piece), os.SEEK_CUR)
            else:
                write.write(piece)


def make_startable(path: Path, boot: bytes, core: bytes, begin: int) -> None:
    """Let a BIOS start the GRUB `core` that lies at byte `begin` of the disk `path`.

    Its first sector, `boot`, goes where the BIOS looks; both are told where what follows them is.

    Raises:
        ImageError: `boot` or `core` is none of GRUB's.
    """
    if len(boot) != SECTOR or len(core) <= SECTOR:
        raise ImageError("GRUB's boot.img or core.img has an unexpected size")
    first = begin // SECTOR
    head = bytearray(boot[:_BOOT_CODE])
    struct.pack_into("<Q", head, _BOOT_WHERE, first)
    whole = bytearray(core)
    sectors = -(-len(core) // SECTOR) - 1
    _, _, segment = struct.unpack_from("<QHH", whole, _BLOCKS_WHERE)
    struct.pack_into("<QHH", whole, _BLOCKS_WHERE, first + 1, sectors, segment)
    with path.open("r+b") as file:
        file.write(head)
        file.seek(begin)
        file.write(whole)
