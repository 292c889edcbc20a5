"""Faults planted in the very image while it plays: each is got over, and the room is never dark.

In this order one machine sees them all: what restarts it comes last. Its key and image: see
`make test-appliance`.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.light_bundle import write_light_bundle
from appliance.virtual import Virtual, disk_over, switched_on, why_not
from bad_graphs import SPOILS

IMAGE, KEY = os.environ.get("YTM_IMAGE"), os.environ.get("YTM_IMAGE_KEY")
SERVICES = ("reflect", "sound", "screen")
BIN = "/opt/ytm/venv/bin"
FLOOD = 500
"""Connections to the door at once."""

pytestmark = [
    pytest.mark.skipif(why_not() is not None, reason=str(why_not())),
    pytest.mark.skipif(
        IMAGE is None or KEY is None,
        reason="needs an image and its key in YTM_IMAGE and YTM_IMAGE_KEY; see make test-appliance",
    ),
]


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtual]:
    folder = tmp_path_factory.mktemp("faults")
    with switched_on(folder, disk_over(Path(str(IMAGE)), folder), Path(str(KEY))) as virtual:
        _wait_for_all(virtual)
        yield virtual


def _wait_for_all(virtual: Virtual) -> None:
    virtual.wait_for_door()
    virtual.wait_for(lambda: all(virtual.status(name) for name in SERVICES))
    virtual.wait_until_seen_and_heard()


def _show(virtual: Virtual, unit: str, name: str) -> str:
    return virtual.run(f"systemctl show --property {name} --value {unit}")


def _health(virtual: Virtual) -> tuple[int, str]:
    done = virtual.try_(f"{BIN}/ytm-health", 300)
    return done.returncode, done.stdout.decode()


def _restarts(virtual: Virtual) -> list[str]:
    return [_show(virtual, f"ytm-{name}", "NRestarts") for name in SERVICES]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_killed_comes_back(virtual: Virtual, name: str) -> None:
    before = _show(virtual, f"ytm-{name}", "MainPID")
    virtual.run(f"kill -KILL {before}")
    virtual.wait_for(lambda: str(virtual.status(name).get("pid")) not in (before, "None"))
    assert _show(virtual, f"ytm-{name}", "ActiveState") in ("active", "activating")
    virtual.wait_until_seen_and_heard()


def test_a_card_that_is_pulled_out_and_put_back_plays_again(virtual: Virtual) -> None:
    before = virtual.status("sound")["pid"]
    address = virtual.run("readlink -f /sys/class/sound/card0/device")
    virtual.run(f"echo 1 >{address}/remove")
    virtual.wait_for(lambda: "sound.no_card" in _health(virtual)[1])
    assert _health(virtual)[0] == 2
    virtual.run("echo 1 >/sys/bus/pci/rescan")
    virtual.wait_until_seen_and_heard()
    virtual.wait_for(lambda: "sound.no_card" not in _health(virtual)[1])
    assert virtual.status("sound")["pid"] == before


def test_a_full_disk_keeps_what_was_set(virtual: Virtual) -> None:
    set_ = f"{BIN}/ytm-mirror ctl set sound.volume_db --"
    virtual.run(f"{set_} -5")
    virtual.run(
        "fallocate --length $(stat --file-system --format '%f * %S' /data | xargs"
        " sh -c 'echo $(($0 $1 $2))') /data/filler || true; yes >/data/filler2 || true"
    )
    refused = virtual.try_(f"{set_} -9", 300)
    assert refused.returncode != 0
    assert b"space" in refused.stdout + refused.stderr
    virtual.wait_for(lambda: "disk.full" in _health(virtual)[1])
    assert _health(virtual)[0] == 2
    assert "volume_db = -5" in virtual.run("cat /data/ytm/mirror.toml")
    virtual.run("rm /data/filler /data/filler2")
    virtual.run(f"{set_} -4")
    virtual.wait_until_seen_and_heard()


def test_a_bundle_that_crashes_is_refused_and_the_old_one_plays(
    virtual: Virtual, tmp_path: Path
) -> None:
    before = {name: virtual.status(name)["bundle"] for name in SERVICES}
    bundle = tmp_path / "bundle"
    write_light_bundle(bundle)
    SPOILS["a crash"](bundle)
    packed = subprocess.run(
        ["tar", "--create", "--directory", str(tmp_path), "bundle"], capture_output=True, check=True
    )
    restarts = _restarts(virtual)
    virtual.run(
        "mkdir /data/ytm/new && tar --extract --directory /data/ytm/new"
        " && mv /data/ytm/new/bundle /data/ytm/bundle",
        300,
        packed.stdout,
    )
    virtual.wait_for(lambda: all(virtual.status(name).get("bundle_problem") for name in SERVICES))
    assert {name: virtual.status(name)["bundle"] for name in SERVICES} == before
    assert "bundle.problem" in _health(virtual)[1]
    assert _restarts(virtual) == restarts
    virtual.wait_until_seen_and_heard()
    virtual.run("rm -r /data/ytm/bundle /data/ytm/new")


def test_health_says_what_it_cannot_know(virtual: Virtual) -> None:
    assert virtual.try_(f"{BIN}/ytm-health --no-such-flag", 300).returncode == 3
    told = virtual.try_(f"{BIN}/ytm-health --json", 300)
    assert told.returncode in (1, 2)
    assert {"level", "findings"} <= json.loads(told.stdout).keys()


def test_the_benchmark_runs_beside_the_show_and_will_not_disturb_it(virtual: Virtual) -> None:
    refused = virtual.try_(f"{BIN}/ytm-benchmark sound --seconds 1", 300)
    assert refused.returncode == 2
    assert b"systemctl stop ytm.target" in refused.stderr
    told = virtual.try_(f"{BIN}/ytm-benchmark sound --no-devices --seconds 1 --json", 600)
    assert told.returncode in (0, 1), told.stderr
    assert json.loads(told.stdout)["stages"]


SCAN = """
import errno, socket
open_ = []
for port in range(1, 65536):
    with socket.socket() as link:
        link.settimeout(5)
        found = link.connect_ex(("10.99.0.1", port))
        if found == 0:
            open_.append(port)
        assert found in (0, errno.ECONNREFUSED), (port, found)
print(*open_)
"""


def test_who_scans_it_from_another_network_finds_the_door_alone(virtual: Virtual) -> None:
    virtual.run(
        "ip netns add street && ip link add here type veth peer name there netns street"
        " && ip address add 10.99.0.1/24 dev here && ip link set here up"
        " && ip -n street address add 10.99.0.2/24 dev there && ip -n street link set there up"
    )
    try:
        assert virtual.run("ip netns exec street python3 -", 900, SCAN.encode()) == "22"
    finally:
        virtual.run("ip netns delete street")


def test_a_crowd_at_the_door_disturbs_nobody(virtual: Virtual) -> None:
    pids = {name: virtual.status(name)["pid"] for name in SERVICES}
    with ExitStack() as crowd:
        for _ in range(FLOOD):
            link = crowd.enter_context(socket.socket())
            link.setblocking(False)
            link.connect_ex(("127.0.0.1", virtual.port))
        virtual.wait_until_seen_and_heard()
    virtual.wait_for(lambda: virtual.try_("true", 60).returncode == 0)
    assert {name: virtual.status(name)["pid"] for name in SERVICES} == pids


def _start(virtual: Virtual) -> str:
    return virtual.run("cat /proc/sys/kernel/random/boot_id")


def _soon(virtual: Virtual, command: str) -> None:
    """Run what no answer will come back from."""
    virtual.run(f"(sleep 2; {command}) <&- >&- 2>&- &")


def _press(virtual: Virtual, key: str) -> None:
    """Tell the kernel by its magic key, as no keyboard can here."""
    virtual.run("echo 1 >/proc/sys/kernel/sysrq")
    _soon(virtual, f"echo {key} >/proc/sysrq-trigger")


def _wait_for_another_start(virtual: Virtual, before: str) -> None:
    def found() -> bool:
        done = virtual.try_("cat /proc/sys/kernel/random/boot_id", 60)
        return done.returncode == 0 and done.stdout.decode().strip() not in ("", before)

    virtual.wait_for(found)


def test_a_kernel_that_panics_starts_again(virtual: Virtual) -> None:
    before = _start(virtual)
    _press(virtual, "c")
    _wait_for_another_start(virtual, before)
    assert "Kernel panic" in virtual.console()
    _wait_for_all(virtual)


def test_the_watchdog_restarts_a_machine_whose_first_process_stands_still(
    virtual: Virtual,
) -> None:
    before = _start(virtual)
    _soon(virtual, "echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze")
    _wait_for_another_start(virtual, before)
    _wait_for_all(virtual)


def test_quick_starts_in_a_row_end_in_replay_only(virtual: Virtual) -> None:
    for _ in range(4):
        if virtual.try_("test -e /run/ytm/replay-only").returncode == 0:
            break
        before = _start(virtual)
        virtual.run(
            "sysctl --quiet kernel.sysrq=1; (sleep 2; echo b >/proc/sysrq-trigger) >&- 2>&- &"
        )
        _wait_for_another_start(virtual, before)
        virtual.wait_for(lambda: _show(virtual, "ytm-boots", "ActiveState") == "active")
    assert "starts came quickly" in virtual.run("cat /run/ytm/replay-only")
    assert _show(virtual, "ytm-reflect", "ActiveState") == "inactive"
    virtual.wait_until_seen_and_heard()
    code, said = _health(virtual)
    assert code == 2
    assert "board.replay_only" in said


def _raw_copy(folder: Path) -> Path:
    copy = folder / "image.raw"
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(IMAGE), str(copy)], check=True)
    return copy


def _without_data(image: Path) -> None:
    words = ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", "--delete", str(image), "5"]
    subprocess.run(words, check=True)


def _with_corrupted_data(image: Path) -> None:
    table = subprocess.run(["sfdisk", "--json", str(image)], capture_output=True, check=True)
    data = json.loads(table.stdout)["partitiontable"]["partitions"][4]
    with image.open("r+b") as file:
        file.seek(data["start"] * 512)
        file.write(os.urandom(8 << 20))


@pytest.mark.parametrize(
    ("spoil", "read_only", "told"),
    [
        (_without_data, False, "disk.missing"),
        (_with_corrupted_data, False, "disk.missing"),
        (None, True, "disk."),
    ],
    ids=["no data", "corrupted data", "read-only medium"],
)
def test_it_plays_without_what_lasts_and_says_so(
    tmp_path: Path, spoil: Callable[[Path], None] | None, read_only: bool, told: str
) -> None:
    image = Path(str(IMAGE))
    if spoil is not None:
        image = _raw_copy(tmp_path)
        spoil(image)
    disk = disk_over(image, tmp_path)
    with switched_on(tmp_path, disk, Path(str(KEY)), read_only=read_only) as virtual:
        _wait_for_all(virtual)
        virtual.wait_for(lambda: told in _health(virtual)[1])
        refused = virtual.try_(f"{BIN}/ytm-mirror ctl set sound.volume_db -- -3", 300)
        assert refused.returncode != 0
        assert b"/data" in refused.stdout + refused.stderr
    shutil.rmtree(tmp_path, ignore_errors=True)


def test_it_waits_for_a_display_and_a_card_and_says_so(tmp_path: Path) -> None:
    disk = disk_over(Path(str(IMAGE)), tmp_path)
    with switched_on(tmp_path, disk, Path(str(KEY)), screen=False, card=False) as virtual:
        virtual.wait_for_door()
        virtual.wait_for(lambda: all(virtual.status(name) for name in SERVICES))
        virtual.wait_for(
            lambda: all(each in _health(virtual)[1] for each in ("sound.no_card", "no_display"))
        )
        assert _health(virtual)[0] == 2
        assert _restarts(virtual) == ["0", "0", "0"]
