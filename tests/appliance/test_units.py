"""The units as they ship, under a real systemd: they start, come back, are confined and stop."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from appliance.machine import SERVICES, UNITS, Machine, booted, why_not
from waiting import wait_for
from ytm_device.sound.realtime import PRIORITY

UNIT = "ytm-{}.service"
MOST_EXPOSED = 25
"""systemd-analyze's 2.5 of 10."""
STOPPED = {
    "ActiveState": "inactive",
    "Result": "success",
    "ExecMainStatus": "0",
    "TimeoutStopUSec": "5s",
}
ELF_HEADERS = 1 << 4
CAP_SYS_RESOURCE = 24
CLASSES = ("alsa", "drm", "fb", "hidraw", "input", "media", "video4linux")
ALLOWED = {
    "sound": {"alsa"},
    "screen": {"drm", "fb"},
    "reflect": {"drm", "media", "video4linux"},
}
UNUSED_MINOR = 250
PROBE = """\
[Unit]
OnFailure=
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart=/opt/ytm/venv/bin/python3 /opt/ytm/tree/tests/appliance/probe.py {devices}
StandardOutput=truncate:/run/{unit}.json
"""
BROKEN = """\
[Service]
ExecStart=
ExecStart=sh -c 'test -e /data/mended && exec /opt/ytm/venv/bin/ytm-mirror sound'
"""
HASTY = """\
[Unit]
StartLimitIntervalSec=1h
StartLimitBurst=1
StartLimitAction=reboot
[Service]
ExecStartPre=
"""
BUILDING = """\
[Unit]
ConditionPathExists=
ConditionPathExists=/etc/ytm
StartLimitBurst=99
[Service]
ExecStart=
ExecStart=/opt/ytm/venv/bin/ytm-build-engine --backend onnxruntime
Environment=PYTHONPATH=/opt/ytm/tree/device:/opt/ytm/tree/model_build OMP_NUM_THREADS=1
"""
"""Engines of ONNX Runtime's stand where those for a GPU would, which is not here."""
CRASHING = """\
[Service]
ExecStart=
ExecStart=false
"""

pytestmark = pytest.mark.skipif(why_not() is not None, reason=str(why_not()))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with booted(tmp_path_factory.mktemp("machine")) as machine:
        yield machine


@pytest.fixture
def machine(whole: Machine) -> Machine:
    """With every service ready, and none of its earlier ends counted."""
    wait_for(whole.all_active)
    whole.run("systemctl", "reset-failed")
    return whole


def test_systemd_finds_nothing_to_complain_of(machine: Machine) -> None:
    units = sorted(path.name.replace("@", "@ytm-sound") for path in UNITS.iterdir())
    result = machine.try_("systemd-analyze", "verify", "--man=no", *units)
    assert (result.returncode, result.stdout + result.stderr) == (0, "")


def test_sound_and_screen_are_ready_before_reflect_starts(machine: Machine) -> None:
    times = {
        name: machine.show(
            UNIT.format(name), "InactiveExitTimestampMonotonic", "ActiveEnterTimestampMonotonic"
        )
        for name in SERVICES
    }
    started = {name: int(of["InactiveExitTimestampMonotonic"]) for name, of in times.items()}
    ready = {name: int(of["ActiveEnterTimestampMonotonic"]) for name, of in times.items()}
    assert all(0 < started[name] < ready[name] for name in SERVICES)
    assert max(started["sound"], started["screen"]) < min(ready["sound"], ready["screen"])
    assert max(ready["sound"], ready["screen"]) <= started["reflect"]
    up = machine.show("ytm.target", "ActiveState", "ActiveEnterTimestampMonotonic")
    assert up["ActiveState"] == "active"
    assert int(up["ActiveEnterTimestampMonotonic"]) >= ready["reflect"]


@pytest.mark.parametrize("service", SERVICES)
def test_its_watchdog_is_armed(machine: Machine, service: str) -> None:
    wanted = re.search(r"^WatchdogSec=(\d+)$", (UNITS / UNIT.format(service)).read_text(), re.M)
    assert wanted
    status = wait_for(lambda: machine.status(service))
    assert status["watchdog_s"] == float(wanted[1])


def test_the_answer_goes_from_one_to_the_others(machine: Machine) -> None:
    for name in ("sound", "screen"):
        wait_for(lambda name=name: machine.status(name).get("mode") == "mirror")


@pytest.mark.parametrize("victim", SERVICES)
def test_one_that_is_killed_comes_back_and_the_others_do_not_notice(
    machine: Machine, victim: str
) -> None:
    before = machine.pids()
    machine.run("systemctl", "kill", "--signal=KILL", UNIT.format(victim))
    wait_for(lambda: machine.all_active() and machine.pids()[victim] != before[victim])
    after = machine.pids()
    assert {name for name in SERVICES if after[name] != before[name]} == {victim}
    assert machine.show(UNIT.format(victim), "NRestarts") == {"NRestarts": "1"}


def test_those_that_hang_are_bitten_by_their_watchdogs_and_come_back(machine: Machine) -> None:
    before = machine.pids()
    for name in SERVICES:
        machine.run("systemctl", "kill", "--signal=STOP", UNIT.format(name))
    wait_for(
        lambda: (
            all(machine.pids()[name] not in (0, before[name]) for name in SERVICES)
            and machine.all_active()
        )
    )
    for name in SERVICES:
        assert "Watchdog timeout" in machine.journal(UNIT.format(name))


def test_one_that_ends_at_once_rests_and_is_tried_again_until_it_runs(machine: Machine) -> None:
    before = machine.pids()
    drop_in = machine.drop_in(UNIT.format("sound"), BROKEN)
    try:
        machine.run("systemctl", "kill", "--signal=KILL", UNIT.format("sound"))
        wait_for(lambda: state(machine, "ytm-again@ytm-sound") == "activating")
        shown = machine.show(UNIT.format("sound"), "ActiveState", "NRestarts", "StartLimitBurst")
        # The last one was refused.
        assert int(shown["NRestarts"]) == int(shown["StartLimitBurst"]) + 1
        assert shown["ActiveState"] == "failed"
        (machine.data / "mended").touch()
        wait_for(machine.all_active)
    finally:
        drop_in.unlink()
        machine.run("systemctl", "daemon-reload")
    after = machine.pids()
    assert {name for name in SERVICES if after[name] != before[name]} == {"sound"}


def state(machine: Machine, unit: str) -> str:
    return machine.show(unit, "ActiveState")["ActiveState"]


@contextmanager
def stopped(machine: Machine) -> Iterator[None]:
    machine.run("systemctl", "stop", "ytm.target")
    try:
        wait_for(lambda: not any(machine.pids().values()))
        yield
    finally:
        machine.run("systemctl", "start", "ytm.target")


def test_what_rests_stays_so_when_the_mirror_is_stopped(machine: Machine) -> None:
    machine.run("systemctl", "start", "--no-block", "ytm-again@ytm-sound")
    wait_for(lambda: state(machine, "ytm-again@ytm-sound") == "activating")
    with stopped(machine):
        units = ["ytm-again@ytm-sound", *(UNIT.format(name) for name in SERVICES)]
        assert [state(machine, unit) for unit in units] == ["inactive"] * len(units)


def test_all_stop_by_themselves_with_the_target(machine: Machine) -> None:
    """`Result=success` says, too, that it took no longer than TimeoutStopSec."""
    with stopped(machine):
        for name in SERVICES:
            unit = UNIT.format(name)
            assert machine.show(unit, *STOPPED) == STOPPED, name
            shown = machine.show(
                unit, "ActiveExitTimestampMonotonic", "InactiveEnterTimestampMonotonic"
            )
            asked_us, stopped_us = (int(value) for value in shown.values())
            print(f"{name}: stopped in {(stopped_us - asked_us) / 1000:.0f} ms")


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_hardly_exposed(machine: Machine, service: str) -> None:
    result = machine.try_(
        "systemd-analyze",
        "security",
        "--no-pager",
        f"--threshold={MOST_EXPOSED}",
        UNIT.format(service),
    )
    assert result.returncode == 0, result.stdout
    print(result.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def sandboxes(whole: Machine) -> dict[str, dict[str, Any]]:
    """Service -> what a process can do in the sandbox of its unit."""
    majors = device_majors()
    for name, major in majors.items():
        node = [f"/dev/probe-{name}", "c", str(major), str(UNUSED_MINOR)]
        whole.run("mknod", "--mode=666", *node)
    system = whole.etc / "systemd/system"
    devices = " ".join(f"/dev/probe-{name}" for name in majors)
    for name in SERVICES:
        unit = f"probe-{name}.service"
        shutil.copy(UNITS / UNIT.format(name), system / unit)
        shutil.copytree(system / f"ytm-{name}.service.d", system / f"{unit}.d")
        (system / f"{unit}.d/zz-probe.conf").write_text(PROBE.format(devices=devices, unit=unit))
    whole.run("systemctl", "daemon-reload")
    found = {}
    for name in SERVICES:
        whole.run("systemctl", "start", f"probe-{name}.service")
        found[name] = json.loads(whole.run("cat", f"/run/probe-{name}.service.json"))
    return found


def device_majors() -> dict[str, int]:
    """Those of `CLASSES` that this kernel has."""
    text = Path("/proc/devices").read_text().partition("Block devices:")[0]
    found = dict(line.split()[::-1] for line in text.splitlines()[1:] if line.strip())
    return {name: int(found[name]) for name in CLASSES if name in found}


@pytest.mark.parametrize("service", SERVICES)
def test_it_writes_nowhere_but_in_its_own_folders(
    sandboxes: dict[str, dict[str, Any]], service: str
) -> None:
    writes = sandboxes[service]["writes"]
    # With PrivateTmp= it is a /tmp that nobody else sees.
    own = {"/run/ytm", "/data/ytm"} | (set() if service == "reflect" else {"/tmp"})
    assert {place for place, result in writes.items() if result == "done"} == own


@pytest.mark.parametrize("service", SERVICES)
def test_it_has_no_network(sandboxes: dict[str, dict[str, Any]], service: str) -> None:
    found = sandboxes[service]
    refused = {name for name, result in found["sockets"].items() if result == "EAFNOSUPPORT"}
    udev = set() if service == "screen" else {"AF_NETLINK"}
    assert refused == {"AF_INET", "AF_INET6", "AF_PACKET"} | udev
    assert found["sockets"]["AF_UNIX"] == "done"
    assert found["interfaces"] == ["lo"]


@pytest.mark.parametrize("service", SERVICES)
def test_it_has_its_devices_and_no_others(
    sandboxes: dict[str, dict[str, Any]], service: str
) -> None:
    found = sandboxes[service]["devices"]
    if not found:
        pytest.skip("this kernel has no class of devices to try")
    refused = {path.removeprefix("/dev/probe-") for path, why in found.items() if why == "EPERM"}
    assert refused == set(device_majors()) - ALLOWED[service]


@pytest.mark.parametrize("service", SERVICES)
def test_it_is_a_user_that_can_do_nothing_else(
    sandboxes: dict[str, dict[str, Any]], service: str
) -> None:
    found = sandboxes[service]
    groups = {"sound": ["audio"], "screen": ["render", "video"], "reflect": ["render", "video"]}
    assert found["user"] == "ytm"
    assert set(found["groups"]) == {"ytm", *groups[service]}
    assert found["only_own_processes"]
    assert found["cpuinfo"] == (service == "reflect")
    refused = {name: found[name] for name in ("set_clock", "namespace", "set_suid")}
    assert refused == dict.fromkeys(refused, "EPERM")
    assert (found["executable_memory"] == "done") == (service != "sound")


@pytest.mark.parametrize("service", SERVICES)
def test_a_core_dump_would_hold_nothing_of_a_visitor(
    sandboxes: dict[str, dict[str, Any]], service: str
) -> None:
    assert sandboxes[service]["core_limit"] == [0, 0]
    assert sandboxes[service]["core_holds"] == ELF_HEADERS


@pytest.mark.parametrize("service", SERVICES)
def test_it_can_ask_whether_the_clock_is_set(
    sandboxes: dict[str, dict[str, Any]], service: str
) -> None:
    assert sandboxes[service]["clock_can_be_asked"]


def test_only_the_sound_may_be_urgent_and_stay_in_memory(
    sandboxes: dict[str, dict[str, Any]],
) -> None:
    assert f"\nLimitRTPRIO={PRIORITY}\n" in (UNITS / UNIT.format("sound")).read_text()
    assert {sandboxes[name]["real_time"] for name in ("screen", "reflect")} == {"EPERM"}
    capabilities = re.search(r"^CapEff:\s*(\w+)", Path("/proc/self/status").read_text(), re.M)
    assert capabilities
    if not int(capabilities[1], 16) >> CAP_SYS_RESOURCE & 1:
        pytest.skip("root may not raise limits here (no CAP_SYS_RESOURCE), so neither can systemd")
    sound = sandboxes["sound"]
    assert (sound["real_time"], sound["lock_memory"]) == ("done", "done")


@pytest.fixture
def building(machine: Machine) -> Iterator[Machine]:
    drop_in = machine.drop_in("ytm-engines.service", BUILDING)
    yield machine
    drop_in.unlink()
    machine.run("systemctl", "daemon-reload")


def test_engines_are_built_in_their_own_sandbox_and_answer_while_nobody_stops(
    building: Machine,
) -> None:
    before = building.pids()
    assert building.status("reflect")["backend"].endswith("(CPU)")
    building.run("systemctl", "start", "ytm-engines.service")
    shown = building.show("ytm-engines.service", "ActiveState", "Result", "NRestarts", "Nice")
    journal = building.journal("ytm-engines.service")
    assert shown == {
        "ActiveState": "inactive",
        "Result": "success",
        "NRestarts": "0",
        "Nice": "19",
    }, journal
    (folder,) = (building.data / "ytm/engines").glob("[0-9a-f]*")
    wait_for(lambda: folder.name[:8] in building.status("reflect")["backend"])
    assert building.pids() == before
    # They are there: nothing is built again.
    building.run("systemctl", "start", "ytm-engines.service")
    assert "are there; nothing to do" in building.journal("ytm-engines.service")


def test_without_a_gpu_nothing_is_built(machine: Machine) -> None:
    if any(Path("/dev").glob("nv*")):
        pytest.skip("there is a GPU")
    machine.run("systemctl", "start", "ytm-engines.service")
    shown = machine.show("ytm-engines.service", "ConditionResult", "ActiveState")
    assert shown == {"ConditionResult": "no", "ActiveState": "inactive"}


def test_another_bundle_is_a_reason_to_build(building: Machine) -> None:
    def started() -> str:
        stamp = "InactiveExitTimestampMonotonic"
        return building.show("ytm-engines.service", stamp)[stamp]

    before = started()
    building.run("systemctl", "start", "ytm-engines.path")
    try:
        (building.data / "ytm/mirror.toml").write_text("")
        wait_for(lambda: started() != before)
        wait_for(lambda: state(building, "ytm-engines") == "inactive")
        before = started()
        (building.data / "ytm/bundle").mkdir()
        wait_for(lambda: started() != before)
    finally:
        building.run("systemctl", "stop", "ytm-engines.path")
        shutil.rmtree(building.data / "ytm/bundle", ignore_errors=True)
        (building.data / "ytm/mirror.toml").unlink()


def test_who_builds_engines_is_hardly_exposed(machine: Machine) -> None:
    limit = f"--threshold={MOST_EXPOSED}"
    words = ["systemd-analyze", "security", "--no-pager", limit, "ytm-engines.service"]
    result = machine.try_(*words)
    assert result.returncode == 0, result.stdout
    print(result.stdout.splitlines()[-1])


def test_a_drop_in_restarts_a_board_on_which_nothing_helped(tmp_path: Path) -> None:
    with booted(tmp_path) as machine:
        machine.drop_in("ytm-again@.service", HASTY)
        machine.drop_in(UNIT.format("sound"), CRASHING)
        machine.run("systemctl", "restart", "--no-block", UNIT.format("sound"))
        wait_for(machine.rebooted)


def test_after_too_many_quick_starts_there_is_replay_only(machine: Machine) -> None:
    machine.run("systemctl", "stop", "ytm-reflect")
    machine.run("touch", "/run/ytm/replay-only")
    machine.run("systemctl", "start", "ytm-reflect")
    assert machine.show("ytm-reflect", "ActiveState")["ActiveState"] == "inactive"
    machine.run("rm", "/run/ytm/replay-only")
    machine.run("systemctl", "start", "ytm-reflect")
    assert machine.all_active()
