"""What is read of services, kernel and systemd, and that nobody waits for what hangs."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from healthy import WELL_BOARD, plant, unit_lines, write_program
from mirror_process import gone
from waiting import HANG_S, wait_for
from ytm_device.health.ask_board import ask_board, ask_data, ask_disk, ask_heat
from ytm_device.health.ask_service import ask_service
from ytm_device.health.ask_systemd import ask_systemd, read_units
from ytm_device.health.files import MAX_BYTES
from ytm_device.health.gather import MAX_ANSWER_BYTES, gather

SLEEPS_S = 10 * HANG_S
WITHIN_S = 1.0
GATHER_WHAT_HANGS = """
import os, signal, sys, time
from pathlib import Path
from ytm_device.health.gather import gather

def hang():
    if os.fork() == 0:
        os.setsid()  # out of reach of the kill, as what hangs in the kernel is
        Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(10_000)

print(gather({"hangs": hang, "answers": lambda: [1, "two", None]}, 1.0), flush=True)
os._exit(7)
"""


def test_each_question_is_answered_by_its_name() -> None:
    questions = {"one": lambda: {"a": [1.5, None]}, "two": lambda: "two", "none": lambda: None}
    assert gather(questions, HANG_S) == {"one": {"a": [1.5, None]}, "two": "two", "none": None}


def test_whoever_fails_or_says_too_much_has_not_answered() -> None:
    def fail() -> None:
        raise RuntimeError

    questions = {
        "fails": fail,
        "ends": lambda: os._exit(0),
        "is killed": lambda: os.kill(os.getpid(), signal.SIGKILL),
        "no JSON": lambda: {1, 2},
        "too much": lambda: "x" * (2 * MAX_ANSWER_BYTES),
        "much": lambda: "x" * (MAX_ANSWER_BYTES // 2),
    }
    assert list(gather(questions, HANG_S)) == ["much"]


def test_what_hangs_is_killed_with_what_it_started(tmp_path: Path) -> None:
    noted = tmp_path / "pid"

    def hang() -> None:
        started = subprocess.Popen(["sleep", f"{SLEEPS_S:g}"])
        noted.write_text(str(started.pid))
        started.wait()

    assert gather({"hangs": hang, "answers": lambda: 1}, WITHIN_S) == {"answers": 1}
    started = int(noted.read_text())
    wait_for(lambda: gone(started))


def test_nobody_waits_for_what_cannot_be_killed(tmp_path: Path) -> None:
    """Neither the process that asked, nor whoever reads what it prints."""
    noted = tmp_path / "pid"
    result = subprocess.run(
        [sys.executable, "-c", GATHER_WHAT_HANGS, noted],
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    hung = int(noted.read_text())
    assert not gone(hung)
    os.kill(hung, signal.SIGKILL)
    assert result.stdout == "{'answers': [1, 'two', None]}\n"
    assert (result.returncode, result.stderr) == (7, "")


def _asked(folder: Path) -> dict:
    return ask_service(folder, Path("/"), "sound")


def test_a_status_is_read_with_how_its_process_is(tmp_path: Path) -> None:
    path = tmp_path / "sound.json"
    path.write_text(json.dumps({"pid": os.getpid(), "samples": 3, "nested": {"a": [1]}}))
    fields = {"pid": os.getpid(), "samples": 3, "nested": []}
    assert _asked(tmp_path) == {"fields": fields, "unreadable": None, "process": None}
    sleeper = subprocess.Popen(["sleep", f"{SLEEPS_S:g}"])
    try:
        path.write_text(json.dumps({"pid": sleeper.pid}))
        sleeper.send_signal(signal.SIGSTOP)
        assert wait_for(lambda: _asked(tmp_path)["process"]) == "is stopped"
    finally:
        sleeper.kill()
        sleeper.wait()
    assert _asked(tmp_path)["process"] == "is gone"


def test_without_a_status_there_is_nothing_to_say(tmp_path: Path) -> None:
    nothing = {"fields": None, "unreadable": None, "process": None}
    assert _asked(tmp_path) == nothing
    assert _asked(tmp_path / "none") == nothing


def _make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "no file, but something else"),
        (_make_socket, "no file, but something else"),
        (Path.mkdir, "no file, but something else"),
        (lambda path: path.symlink_to("/dev/zero"), "no file, but something else"),
        (lambda path: path.symlink_to(path), "symbolic link"),
        (lambda path: path.write_bytes(b" " * (MAX_BYTES + 1)), "larger than 64 KiB"),
        (lambda path: path.write_bytes(b'{"pid": '), "broken JSON"),
        (lambda path: path.write_bytes(b""), "broken JSON"),
        (lambda path: path.write_bytes(b"\xff\xfe\x00"), "broken JSON"),
        (lambda path: path.write_bytes(b"[" * MAX_BYTES), "broken JSON"),
        (lambda path: path.write_bytes(b"[1]"), "no object"),
    ],
)
def test_what_is_no_status_is_said_to_be_unreadable(tmp_path: Path, make, reason: str) -> None:
    make(tmp_path / "sound.json")
    answer = _asked(tmp_path)
    assert reason in answer["unreadable"]
    assert (answer["fields"], answer["process"]) == (None, None)


@settings(deadline=None)
@given(content=st.binary() | st.text().map(str.encode) | st.just(b'{"pid": %b}' % (b"9" * 9999)))
def test_whatever_a_status_holds_can_be_asked_for(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "sound.json").write_bytes(content)
        json.dumps(_asked(Path(name)))


def test_a_board_is_read(tmp_path: Path) -> None:
    plant(tmp_path, WELL_BOARD | {"dev/nvhost-gpu": "", "proc/device-tree/model": "Orin\0"})
    assert ask_board(tmp_path) == {
        "model": "Orin\0",
        "gpu": True,
        "memory_free_percent": 75.0,
        "watchdog": {"state": "active", "timeout_s": 30, "left_s": None, "for_good": False},
        "replay_only": None,
        "root": None,
    }


FLASHED = {"proc/cmdline": "quiet ytm.slot=ytm-a ytm.digest=00ff ytm.offset=4096"}
OVERLAY = "overlay / overlay rw,lowerdir=/run/ytm-root/lower 0 0\n"
CHECKED = "/dev/mapper/ytm-root /run/ytm-root/lower squashfs ro 0 0\n"


@pytest.mark.parametrize(
    ("mounts", "told"),
    [
        (OVERLAY + CHECKED, {"overlay": True, "checked": True}),
        (OVERLAY, {"overlay": True, "checked": False}),
        ("/dev/vda3 / ext4 rw 0 0\n", {"overlay": False, "checked": False}),
        ("nonsense\n", {"overlay": False, "checked": False}),
        ("", {"overlay": False, "checked": False}),
    ],
)
def test_the_root_of_a_flashed_board_is_read(
    tmp_path: Path, mounts: str, told: dict[str, bool]
) -> None:
    plant(tmp_path, FLASHED | {"proc/mounts": mounts, "run/ytm/replay-only": "why\n"})
    found = ask_board(tmp_path)
    assert found["root"] == told
    assert found["replay_only"] == "why"


@pytest.mark.parametrize(
    ("flashed", "mounts", "there"),
    [
        (FLASHED, OVERLAY + "/dev/vda5 /data ext4 rw 0 0\n", True),
        (FLASHED, OVERLAY, False),
        (FLASHED, OVERLAY + "/dev/vda5 /data/ytm ext4 rw 0 0\n", False),
        ({}, "/dev/vda1 / ext4 rw 0 0\n", True),
    ],
    ids=["mounted", "not mounted", "something else", "not flashed"],
)
def test_what_lasts_on_a_flashed_board_is_a_partition(
    tmp_path: Path, flashed: dict[str, str], mounts: str, there: bool
) -> None:
    """Its folder is there all the same, and what is written beneath would be in memory."""
    plant(tmp_path, flashed | {"proc/mounts": mounts})
    (tmp_path / "data").mkdir()
    assert (ask_data(tmp_path) is not None) == there


def test_heat_and_throttling_are_read_of_whatever_can_be_read(tmp_path: Path) -> None:
    zones = [
        ("cpu-thermal", 51500),
        ("gpu-thermal", -256000),
        ("PMIC-Die", 100000),
        ("tj-thermal", "not to be read"),
        ("soc0-thermal", 60250),
    ]
    coolers = [("pwm-fan", 3), ("cpu-throttle", 2), ("devfreq-gpu", 0), ("Processor", -1)]
    files: dict[str, object] = {}
    for at, (name, milli_c) in enumerate(zones):
        folder = f"sys/class/thermal/thermal_zone{at}"
        files |= {f"{folder}/type": name, f"{folder}/temp": milli_c}
    for at, (name, state) in enumerate(coolers):
        folder = f"sys/class/thermal/cooling_device{at}"
        files |= {f"{folder}/type": name, f"{folder}/cur_state": state}
    hwmon = "sys/class/hwmon/hwmon0"
    files |= {f"{hwmon}/name": "nvme", f"{hwmon}/temp1_input": 40850}
    files |= {f"{hwmon}/temp1_label": "Composite"}
    files |= {f"sys/class/hwmon/hwmon1/oc{n}_event_cnt": n for n in (1, 2)}
    plant(tmp_path, files)
    assert ask_heat(tmp_path) == {
        "temperatures_c": {"cpu-thermal": 51.5, "soc0-thermal": 60.25, "nvme Composite": 40.85},
        "slowed": ["cpu-throttle"],
        "overcurrents": 3,
    }


def test_a_machine_that_says_nothing_of_itself_is_read(tmp_path: Path) -> None:
    assert ask_heat(tmp_path) == {"temperatures_c": {}, "slowed": [], "overcurrents": 0}
    nothing = dict.fromkeys(
        ("model", "memory_free_percent", "watchdog", "replay_only", "root"), None
    ) | {"gpu": False}
    assert ask_board(tmp_path) == nothing
    assert ask_disk(tmp_path / "none") is None


def test_a_disk_is_read(tmp_path: Path) -> None:
    told = ask_disk(tmp_path)
    assert told is not None
    assert 0 < told["free_percent"] <= 100
    assert told["free_bytes"] > 0
    assert not told["read_only"]


def test_a_disk_that_cannot_be_written_is_known(tmp_path: Path) -> None:
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    read_only = [place for _, place, _, options, *_ in mounts if "ro" in options.split(",")]
    found = next((told for told in map(ask_disk, map(Path, read_only)) if told), None)
    if found is None:
        pytest.skip("no file system here is mounted read-only")
    assert found["read_only"]


@pytest.fixture
def booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a machine run by systemd; `systemctl` is looked for in its bin only."""
    plant(tmp_path, WELL_BOARD)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    return tmp_path


def test_systemd_is_asked_for_all_units_at_once(booted: Path) -> None:
    printed = unit_lines("sound", 5000, WatchdogUSec="1min 30s", NRestarts=2)
    (booted / "printed").write_text(printed)
    write_program(booted / "bin" / "systemctl", f'echo "$@" > {booted}/asked; cat {booted}/printed')
    answer = ask_systemd(booted)
    assert answer == {"booted": True, "printed": printed}
    unit = read_units(answer["printed"])["sound"]
    assert (unit.watchdog_s, unit.restarts, unit.petted_ns) == (90, 2, 5000)
    asked = (booted / "asked").read_text().split()
    assert asked[0] == "show"
    assert asked[-3:] == [f"ytm-{name}.service" for name in ("reflect", "sound", "screen")]


@pytest.mark.parametrize("text", ["exit 1", "printf '\\377'"])
def test_a_systemd_that_does_not_answer_has_said_nothing(booted: Path, text: str) -> None:
    write_program(booted / "bin" / "systemctl", text)
    assert ask_systemd(booted) == {"booted": True, "printed": None}


def test_a_systemd_that_hangs_is_let_go(booted: Path) -> None:
    write_program(booted / "bin" / "systemctl", f"exec sleep {SLEEPS_S:g}")
    assert gather({"systemd": lambda: ask_systemd(booted)}, WITHIN_S) == {}


def test_without_systemd_nothing_is_asked(tmp_path: Path) -> None:
    assert ask_systemd(tmp_path) == {"booted": False, "printed": None}


def test_a_systemctl_that_is_not_there_has_said_nothing(
    booted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(booted / "empty"))
    assert ask_systemd(booted) == {"booted": True, "printed": None}
