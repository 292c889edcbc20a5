"""The very image on a medium that is broken, or without a display and a card, when power comes.

Picture and sound come up with what there is, health names what is wrong, and nothing is promised
to last that does not. Each case is a start of its own. For key and image see `make test-appliance`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from appliance.image import IMAGE, KEY, NEEDS_VIRTUAL, raw_copy, skipped_for
from appliance.machine import PROVISIONING
from appliance.virtual import BIN, SERVICES, disk_over, partition, switched_on

DATA_NUMBER = 5
"""Of the partition for what lasts."""
_PIECE = 1 << 24
_HEAD = 8 << 20
SET = f"{BIN}/ytm-mirror ctl set sound.volume_db -- -3"
TOOLS = [tool for tool in ("sfdisk", "debugfs", "dumpe2fs") if shutil.which(tool) is None]

NEEDS_TOOLS = skipped_for(f"needs {' '.join(TOOLS)}" if TOOLS else None)


def _on_the_image(test: Callable[..., None]) -> Callable[..., None]:
    for mark in (*NEEDS_VIRTUAL, NEEDS_TOOLS):
        test = mark(test)
    return test


def test_nothing_is_made_where_a_partition_is_to_be_mounted() -> None:
    """What tmpfiles.d makes is made beneath a missing partition, too, and gone with the power."""
    for file in (PROVISIONING / "tmpfiles.d").iterdir():
        lines = [line.split() for line in file.read_text().splitlines()]
        made = [words[1] for words in lines if words and not words[0].startswith("#")]
        assert made
        assert not [path for path in made if path.startswith("/data")]


def _without_data(image: Path) -> None:
    words = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", str(image)]
    subprocess.run([*words, str(DATA_NUMBER)], check=True)


def _noise(image: Path, size: int | None = None) -> None:
    begin, whole = partition(image, DATA_NUMBER)
    left = whole if size is None else size
    with image.open("r+b") as file:
        file.seek(begin)
        while left > 0:
            left -= file.write(os.urandom(min(left, _PIECE)))


def _noisy_head(image: Path) -> None:
    _noise(image, _HEAD)


def _full(image: Path) -> None:
    """Until not a block is left, of those that are root's neither."""
    filler = image.with_name("filler")
    where = f"{image}?offset={partition(image, DATA_NUMBER)[0]}"
    with filler.open("wb") as file:
        for _ in range(partition(image, DATA_NUMBER)[1] // _PIECE):
            file.write(b"\xff" * _PIECE)
    subprocess.run(["debugfs", "-w", "-R", f"write {filler} filler", where], capture_output=True)
    said = subprocess.run(["dumpe2fs", "-h", where], capture_output=True, text=True, check=True)
    free = next(line for line in said.stdout.splitlines() if line.startswith("Free blocks:"))
    assert int(free.split()[-1]) < 100, free
    filler.unlink()


@_on_the_image
@pytest.mark.parametrize(
    ("spoil", "read_only", "told"),
    [
        (_without_data, False, "disk.missing"),
        (_noise, False, "disk.missing"),
        (_full, False, "disk.full"),
        (None, True, "disk.read_only"),
    ],
    ids=["no data", "noise for data", "full data", "read-only medium"],
)
def test_it_plays_and_says_that_nothing_lasts(
    tmp_path: Path, spoil: Callable[[Path], None] | None, read_only: bool, told: str
) -> None:
    image = IMAGE
    if spoil is not None:
        image = raw_copy(tmp_path)
        spoil(image)
    disk = disk_over(image, tmp_path)
    with switched_on(tmp_path, disk, KEY, read_only=read_only) as virtual:
        virtual.wait_for_all()
        virtual.wait_for(lambda: told in virtual.health()[1])
        refused = virtual.try_(SET, 300)
        assert refused.returncode != 0
        assert b"/data" in refused.stdout + refused.stderr
        virtual.wait_until_seen_and_heard()
    shutil.rmtree(tmp_path, ignore_errors=True)


@_on_the_image
def test_a_partition_that_lost_its_head_is_repaired_and_holds_settings_again(
    tmp_path: Path,
) -> None:
    image = raw_copy(tmp_path)
    _noisy_head(image)
    with switched_on(tmp_path, disk_over(image, tmp_path), KEY) as virtual:
        virtual.wait_for_all()
        virtual.wait_for(lambda: virtual.try_(SET, 300).returncode == 0)
        assert "volume_db = -3" in virtual.run("cat /data/ytm/mirror.toml")
        assert "disk." not in virtual.health()[1]
    shutil.rmtree(tmp_path, ignore_errors=True)


@_on_the_image
def test_it_waits_for_a_display_and_a_card_and_says_so(tmp_path: Path) -> None:
    disk = disk_over(IMAGE, tmp_path)
    with switched_on(tmp_path, disk, KEY, screen=False, card=False) as virtual:
        virtual.wait_for_door()
        virtual.wait_for(lambda: all(virtual.status(name) for name in SERVICES))
        lacking = ("sound.no_card", "screen.no_display")
        virtual.wait_for(lambda: all(each in virtual.health()[1] for each in lacking))
        assert virtual.health()[0] == 2
        virtual.wait_for(
            lambda: {virtual.show(f"ytm-{name}", "ActiveState") for name in SERVICES} == {"active"}
        )
