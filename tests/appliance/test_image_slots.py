"""The second slot: what is put there starts as the first one does, once one block names it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from appliance.image import KEY, NEEDS_VIRTUAL, raw_copy
from appliance.virtual import disk_over, switched_on
from ytm_build.image.boot import environment

SECTOR = 512
BOOT, FIRST, SECOND = 1, 2, 3
"""Where partitions stand in the table."""

pytestmark = NEEDS_VIRTUAL


def _mtools(image: Path, at: int, *words: str) -> bytes:
    """Run one of mtools on the file system at a byte of an image."""
    name, *rest = words
    whole = [name, "-i", f"{image}@@{at}", *rest]
    return subprocess.run(whole, capture_output=True, check=True).stdout


def _begins(image: Path) -> list[int]:
    """Where each partition begins, in bytes."""
    told = subprocess.run(["sfdisk", "--json", str(image)], capture_output=True, check=True).stdout
    return [each["start"] * SECTOR for each in json.loads(told)["partitiontable"]["partitions"]]


def _copy_slot(image: Path) -> None:
    """Put into the second slot what is in the first, under its own name."""
    begins = _begins(image)
    with image.open("r+b") as file:
        file.seek(begins[FIRST])
        root = file.read(begins[SECOND] - begins[FIRST])
        file.seek(begins[SECOND])
        file.write(root)
    boot = begins[BOOT]
    folder = image.parent / "b"
    folder.mkdir()
    _mtools(image, boot, "mcopy", "::a/vmlinuz", "::a/initrd", "::a/boot.cfg", str(folder))
    config = folder / "boot.cfg"
    text = config.read_text(encoding="ascii")
    config.write_text(text.replace("/a/", "/b/").replace("=ytm-a", "=ytm-b"), encoding="ascii")
    _mtools(image, boot, "mmd", "::b")
    _mtools(image, boot, "mcopy", *(str(path) for path in sorted(folder.iterdir())), "::b")


def test_one_block_decides_which_slot_starts(tmp_path: Path) -> None:
    image = raw_copy(tmp_path)
    _copy_slot(image)
    block = tmp_path / "grubenv"
    block.write_bytes(environment({"slot": "b"}))
    _mtools(image, _begins(image)[BOOT], "mcopy", "-o", str(block), "::grubenv")
    with switched_on(tmp_path, disk_over(image, tmp_path), KEY) as virtual:
        virtual.wait_for_door()
        assert "ytm.slot=ytm-b" in virtual.run("cat /proc/cmdline")
        assert "verity" in virtual.run("cat /sys/block/dm-0/dm/uuid").lower()
        beneath = virtual.run("ls /sys/block/dm-0/slaves").split()
        name = virtual.run("basename $(readlink /dev/disk/by-partlabel/ytm-b)")
        assert name in beneath
    image.unlink()
