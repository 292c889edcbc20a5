"""The very image, started in a virtual mini PC: picture, sound, the door, and a power cut.

It needs an image with its key: `make test-appliance` makes one. There is no camera in this machine,
so what is seen and heard is the replay.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from appliance.image import IMAGE, KEY, NEEDS_VIRTUAL
from appliance.virtual import SERVICES, Virtual, disk_over, switched_on

pytestmark = NEEDS_VIRTUAL


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("virtual")
    disk_over(IMAGE, folder)
    return folder


@pytest.fixture(scope="module")
def virtual(folder: Path) -> Iterator[Virtual]:
    with switched_on(folder, folder / "disk.qcow2", KEY) as virtual:
        virtual.wait_for_door()
        virtual.wait_for(lambda: all(virtual.status(name) for name in SERVICES))
        yield virtual


def test_the_replay_is_seen_and_heard_with_nobody_logged_in(virtual: Virtual) -> None:
    virtual.wait_until_seen_and_heard()
    assert virtual.run("loginctl list-sessions --no-legend | grep -v sshd || true") == ""


def test_the_root_is_checked_read_only_and_under_an_overlay(virtual: Virtual) -> None:
    mounts = dict(
        line.split(maxsplit=1)
        for line in virtual.run("findmnt --raw --noheadings --output TARGET,SOURCE").splitlines()
    )
    assert mounts["/"] == "overlay"
    assert mounts["/run/ytm-root/lower"] == "/dev/mapper/ytm-root"
    assert "verity" in virtual.run("cat /sys/block/dm-0/dm/uuid").lower()
    virtual.wait_for(lambda: "vda5" in virtual.run("findmnt --noheadings --output SOURCE /data"))


CONSOLE = """
import fcntl, os, struct
console = os.open("/dev/tty0", os.O_RDWR | os.O_NOCTTY)
for request in (0x4B3B, 0x4B44):  # KDGETMODE, KDGKBMODE
    print(*struct.unpack("i", fcntl.ioctl(console, request, b"xxxx")))
"""


def test_the_console_is_dark_and_no_key_reaches_it(virtual: Virtual) -> None:
    graphics, off = 1, 4
    said = virtual.run("python3 -", give=CONSOLE.encode())
    assert said.split() == [str(graphics), str(off)]


def test_nothing_listens_but_the_door(virtual: Virtual) -> None:
    listening = virtual.run("ss --no-header --listening --tcp --udp --numeric").splitlines()
    ports = {line.split()[4].rpartition(":")[2] for line in listening if "LISTEN" in line}
    assert ports == {"22"}


def test_no_password_opens_the_door(virtual: Virtual) -> None:
    options = ["-o", "PubkeyAuthentication=no", "-o", "PreferredAuthentications=password"]
    words = ["ssh", *options, *virtual.ssh_options(), "root@127.0.0.1", "true"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 255
    assert "Permission denied (publickey)" in done.stderr


def test_it_says_how_it_is(virtual: Virtual) -> None:
    done = virtual.try_("/opt/ytm/venv/bin/ytm-health", 300)
    assert done.returncode in (1, 2), done.stdout
    assert b"camera" in done.stdout.lower()


def test_a_service_that_is_killed_comes_back(virtual: Virtual) -> None:
    before = virtual.status("screen")["pid"]
    virtual.run(f"kill -KILL {before}")
    virtual.wait_for(lambda: virtual.status("screen").get("pid") not in (before, None))
    virtual.wait_until_seen_and_heard()


def test_what_was_set_is_there_after_a_power_cut(virtual: Virtual, folder: Path) -> None:
    set_ = "/opt/ytm/venv/bin/ytm-mirror ctl set sound.volume_db -- -7"
    virtual.wait_for(lambda: virtual.try_(set_, 300).returncode == 0)
    virtual.cut_power()
    with switched_on(folder, folder / "disk.qcow2", KEY, firmware="uefi") as again:
        again.wait_for_door()
        again.wait_for(lambda: again.try_("test -f /data/ytm/mirror.toml").returncode == 0)
        assert "volume_db = -7" in again.run("cat /data/ytm/mirror.toml")
        again.wait_for(lambda: again.screen().std() > 1)
