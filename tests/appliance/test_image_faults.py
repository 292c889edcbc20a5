"""Faults planted in the very image while it plays: each is got over, and the room is never dark.

In this order one machine sees them all: what restarts it comes last. Its key and image: see
`make test-appliance`.
"""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from appliance.image import IMAGE, KEY, NEEDS_VIRTUAL
from appliance.light_bundle import write_light_bundle
from appliance.virtual import BIN, SERVICES, Virtual, disk_over, switched_on
from bad_graphs import SPOILS
from ytm_device.boots import COUNT_NAME, MOST, REPLAY_ONLY
from ytm_device.bundles import DATA

FLOOD = 500
"""Connections to the door at once."""

pytestmark = NEEDS_VIRTUAL


@pytest.fixture(scope="module")
def virtual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Virtual]:
    folder = tmp_path_factory.mktemp("faults")
    with switched_on(folder, disk_over(IMAGE, folder), KEY) as virtual:
        virtual.wait_for_all()
        yield virtual


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_that_is_killed_comes_back(virtual: Virtual, name: str) -> None:
    before = virtual.show(f"ytm-{name}", "MainPID")
    virtual.run(f"kill -KILL {before}")
    virtual.wait_for(lambda: str(virtual.status(name).get("pid")) not in (before, "None"))
    assert virtual.show(f"ytm-{name}", "ActiveState") in ("active", "activating")
    virtual.wait_until_seen_and_heard()


def test_a_card_that_is_pulled_out_and_put_back_plays_again(virtual: Virtual) -> None:
    before = virtual.status("sound")["pid"]
    address = virtual.run("readlink -f /sys/class/sound/card0/device")
    virtual.run(f"echo 1 >{address}/remove")
    virtual.wait_for(lambda: "sound.no_card" in virtual.health()[1])
    assert virtual.health()[0] == 2
    virtual.run("echo 1 >/sys/bus/pci/rescan")
    virtual.wait_until_seen_and_heard()
    virtual.wait_for(lambda: "sound.no_card" not in virtual.health()[1])
    assert virtual.status("sound")["pid"] == before


SET = f"{BIN}/ytm-mirror ctl set sound.volume_db --"


def _set(virtual: Virtual, volume_db: int) -> None:
    """Until all services have taken it up: one may be too busy to answer in time."""
    virtual.wait_for(lambda: virtual.try_(f"{SET} {volume_db}", 300).returncode == 0)


def test_a_full_disk_keeps_what_was_set(virtual: Virtual) -> None:
    _set(virtual, -5)
    # Root's own share as well.
    virtual.run("yes >/data/filler || true", 300)
    refused = virtual.try_(f"{SET} -9", 300)
    assert refused.returncode != 0
    assert b"No space left" in refused.stdout + refused.stderr
    virtual.wait_for(lambda: "disk.full" in virtual.health()[1])
    assert virtual.health()[0] == 2
    assert "volume_db = -5" in virtual.run("cat /data/ytm/mirror.toml")
    virtual.wait_until_seen_and_heard()
    virtual.run("rm /data/filler")
    _set(virtual, -4)


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
    virtual.run(
        "mkdir /data/ytm/new && tar --extract --directory /data/ytm/new"
        " && mv /data/ytm/new/bundle /data/ytm/bundle",
        300,
        packed.stdout,
    )
    virtual.wait_for(lambda: all(virtual.status(name).get("bundle_problem") for name in SERVICES))
    assert {name: virtual.status(name)["bundle"] for name in SERVICES} == before
    assert "bundle.problem" in virtual.health()[1]
    problems = [str(virtual.status(name)["bundle_problem"]) for name in SERVICES]
    assert ["crash" in problem for problem in problems] == [True] * len(SERVICES), problems
    # The crash is its check's, and no service's.
    assert not virtual.run("journalctl --unit 'ytm-*' | grep status=8/FPE || true")
    virtual.wait_until_seen_and_heard()
    virtual.run("rm -r /data/ytm/bundle /data/ytm/new")


def test_health_warns_of_no_camera_and_says_what_it_cannot_know(virtual: Virtual) -> None:
    """Exit codes 1 and 3; 2 is seen whenever something is broken, and 0 needs a camera."""
    virtual.wait_for(lambda: virtual.health()[0] == 1)
    assert "frame.none" in virtual.health()[1]
    told = virtual.try_(f"{BIN}/ytm-health --json", 300)
    assert json.loads(told.stdout)["exit_code"] == told.returncode
    assert virtual.try_(f"{BIN}/ytm-health --no-such-flag", 300).returncode == 3


def test_the_benchmark_runs_beside_the_show_and_will_not_disturb_it(virtual: Virtual) -> None:
    refused = virtual.try_(f"{BIN}/ytm-benchmark sound --seconds 1", 300)
    assert refused.returncode == 1
    assert b"systemctl stop ytm.target" in refused.stderr
    told = virtual.try_(f"{BIN}/ytm-benchmark sound --no-devices --seconds 1 --json", 600)
    assert told.returncode in (0, 1), told.stderr
    assert json.loads(told.stdout)["stages"]


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
    virtual.wait_for_all()


def test_a_first_process_that_crashes_starts_the_machine_again(virtual: Virtual) -> None:
    before = _start(virtual)
    _soon(virtual, "kill -SEGV 1")
    _wait_for_another_start(virtual, before)
    virtual.wait_for_all()


def test_the_watchdog_restarts_a_machine_whose_first_process_stands_still(
    virtual: Virtual,
) -> None:
    before = _start(virtual)
    _soon(virtual, "echo 1 >/sys/fs/cgroup/init.scope/cgroup.freeze")
    virtual.wait_for_event("WATCHDOG")
    _wait_for_another_start(virtual, before)
    virtual.wait_for_all()


def _quick_starts(virtual: Virtual) -> int:
    """As they are counted, this one among them."""
    virtual.wait_for(lambda: virtual.show("ytm-boots", "ActiveState") == "active")
    return int(virtual.run(f"cat {DATA / COUNT_NAME}"))


def test_quick_starts_in_a_row_end_in_replay_only(virtual: Virtual) -> None:
    """How many came before, in this machine, depends on how fast it is."""
    for _ in range(2 * MOST):
        counted = _quick_starts(virtual)
        replay_only = virtual.try_(f"test -e {REPLAY_ONLY}").returncode == 0
        assert replay_only == (counted > MOST)
        if replay_only:
            break
        before = _start(virtual)
        _press(virtual, "b")
        _wait_for_another_start(virtual, before)
    assert f"{MOST} starts came quickly" in virtual.run(f"cat {REPLAY_ONLY}")
    virtual.wait_until_seen_and_heard()
    assert virtual.show("ytm-reflect", "ActiveState") == "inactive"
    assert virtual.show("ytm-again@ytm-reflect", "StartLimitAction") == "none"
    code, said = virtual.health()
    assert code == 2
    assert "board.replay_only" in said


def test_after_a_rest_it_looks_for_people_again(virtual: Virtual) -> None:
    virtual.run("systemctl start ytm-settled")
    before = _start(virtual)
    _soon(virtual, "systemctl reboot")
    _wait_for_another_start(virtual, before)
    assert _quick_starts(virtual) == 1
    virtual.wait_for(lambda: virtual.show("ytm-reflect", "ActiveState") == "active")
