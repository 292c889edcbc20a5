"""Heat, clocks, power mode and throttling, out of a fake /sys; and who holds the devices."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from ytm_bundle.errors import DeviceError
from ytm_device.benchmark import command
from ytm_device.benchmark.board import board_state, power_mode, throttling
from ytm_device.benchmark.busy import check_not_running, running
from ytm_device.benchmark.versions import versions

MODES = """
< POWER_MODEL ID=0 NAME=MAXN_SUPER >
CPU_ONLINE CORE_0 1
< POWER_MODEL ID=1 NAME=25W >
"""


def _write(root: Path, files: dict[str, object]) -> None:
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{content}\n", encoding="utf-8")


@pytest.fixture
def jetson(tmp_path: Path) -> Path:
    """What the kernel of an Orin says of itself; not met a board."""
    _write(
        tmp_path,
        {
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": 51250,
            "sys/class/thermal/thermal_zone1/type": "gpu-thermal",
            "sys/class/thermal/thermal_zone1/temp": 49000,
            "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0",
            "sys/class/thermal/cooling_device0/cur_state": 0,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": 729600,
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq": 1510400,
            "sys/devices/system/cpu/cpu5/cpufreq/scaling_cur_freq": 1510400,
            "sys/devices/system/cpu/cpu5/cpufreq/scaling_max_freq": 1510400,
            "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": 1,
            "sys/class/devfreq/17000000.gpu/cur_freq": 306000000,
            "sys/class/devfreq/17000000.gpu/max_freq": 1020000000,
            "sys/class/hwmon/hwmon1/name": "soctherm_oc",
            "sys/class/hwmon/hwmon1/oc1_event_cnt": 2,
            "var/lib/nvpmodel/status": "pmode:0001",
            "etc/nvpmodel.conf": MODES,
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 1, BOARD: generic",
            "proc/device-tree/model": "NVIDIA Jetson Orin Nano Developer Kit\0",
        },
    )
    return tmp_path


def test_heat_clocks_and_power_mode(jetson: Path) -> None:
    state = board_state(jetson)
    assert state.temperatures_c == {"cpu-thermal": 51.25, "gpu-thermal": 49.0}
    assert state.clocks_mhz == {"cpu0": 729.6, "cpu5": 1510.4, "17000000.gpu": 306.0}
    assert state.limits_mhz == {"cpu0": 1510.4, "cpu5": 1510.4, "17000000.gpu": 1020.0}
    assert state.power_mode == "25W"
    assert (state.slowed, state.throttles) == ([], 2)


def test_a_machine_that_says_nothing(tmp_path: Path) -> None:
    state = board_state(tmp_path)
    assert state.temperatures_c == state.clocks_mhz == state.limits_mhz == {}
    assert state.power_mode is None
    assert throttling([state, state]) == []


def test_what_is_no_number_is_left_out(jetson: Path) -> None:
    _write(
        jetson,
        {
            "sys/devices/system/cpu/cpu0/cpufreq/scaling_cur_freq": "<unknown>",
            "sys/class/devfreq/17000000.gpu/cur_freq": "9" * 5000,
            "sys/class/thermal/thermal_zone1/temp": -256000,
            "var/lib/nvpmodel/status": "pmode:0007",
        },
    )
    state = board_state(jetson)
    assert state.clocks_mhz == {"cpu5": 1510.4}
    assert state.temperatures_c == {"cpu-thermal": 51.25}
    assert state.power_mode == "7"


@pytest.mark.parametrize(
    ("said", "mode"),
    [("pmode:0000", "MAXN_SUPER"), ("pmode:x", None), ("", None), ("fmode:fanNull", None)],
)
def test_a_power_mode_by_its_name(said: str, mode: str | None, jetson: Path) -> None:
    _write(jetson, {"var/lib/nvpmodel/status": said})
    assert power_mode(jetson) == mode


def test_throttling_is_noticed_whenever_it_was(jetson: Path) -> None:
    before = board_state(jetson)
    _write(
        jetson,
        {
            "sys/class/thermal/cooling_device0/cur_state": 3,
            "sys/class/hwmon/hwmon1/oc1_event_cnt": 4,
            "sys/devices/system/cpu/cpu5/cpufreq/scaling_max_freq": 1190400,
            "sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count": 5,
        },
    )
    meanwhile = board_state(jetson)
    _write(
        jetson,
        {
            "sys/class/thermal/cooling_device0/cur_state": 0,
            "sys/devices/system/cpu/cpu5/cpufreq/scaling_max_freq": 1510400,
        },
    )
    assert throttling([before, meanwhile, board_state(jetson)]) == [
        "cpufreq-cpu0 throttled",
        "throttled or too high a current 7 times",
        "cpu5 was limited to 1190 of 1510 MHz",
    ]


def test_versions(jetson: Path) -> None:
    found = versions(jetson)
    assert found["L4T"] == "36.4.3"
    assert found["board"] == "NVIDIA Jetson Orin Nano Developer Kit"
    assert found["kernel"] == os.uname().release
    for name in ("ONNX Runtime", "GStreamer", "SDL", "ALSA"):
        assert found[name], name
        assert found[name][0].isdigit(), name


def test_versions_that_are_not_there(tmp_path: Path) -> None:
    found = versions(tmp_path)
    assert found["L4T"] is None
    assert found["board"] is None


def test_a_report_says_how_the_board_was(
    jetson: Path, tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    flags = ["--no-devices", "--seconds", "0.1", "--bundle", str(tiny_bundle_path)]
    for more in (["--json"], []):
        words = ["ytm-benchmark", "screen", *flags, "--root", str(jetson), *more]
        monkeypatch.setattr("sys.argv", words)
        with pytest.raises(SystemExit):
            command.main()
        _write(jetson, {"sys/class/thermal/cooling_device0/cur_state": 1})
    said, told = capsys.readouterr().out.split("\n", 1)
    found = json.loads(said)
    assert found["board"]["before"]["power_mode"] == found["board"]["after"]["power_mode"] == "25W"
    assert found["board"]["throttled"] == []
    assert found["versions"]["L4T"] == "36.4.3"
    lines = "before: hottest cpu-thermal 51.2 C, cores 730 to 1510 MHz, 17000000.gpu 306 MHz"
    assert f"{lines}, power mode 25W" in told
    assert "throttling: cpufreq-cpu0 throttled" in told


def _mirror(root: Path, service: str, pid: object, cmdline: str = "python -m ytm_device") -> Path:
    """A service of a mirror, as its status and `/proc` say."""
    run_dir = root / "run"
    _write(root, {f"run/{service}.json": json.dumps({"pid": pid})})
    _write(root, {f"proc/{pid}/cmdline": cmdline.replace(" ", "\0")})
    return run_dir


def test_an_installation_that_runs_is_not_fought(tmp_path: Path) -> None:
    run_dir = _mirror(tmp_path, "sound", 4242)
    _mirror(tmp_path, "reflect", 4241)
    assert running(tmp_path, run_dir) == ["reflect", "sound"]
    with pytest.raises(DeviceError, match=r"ytm-reflect, ytm-sound in .*run") as raised:
        check_not_running(tmp_path, run_dir)
    assert "`systemctl stop ytm.target` first, or give --no-devices" in str(raised.value)


@pytest.mark.parametrize("pid", [None, "4242", True, -1, 0, 4.5, 10**30])
def test_a_status_that_names_no_process_is_nobodys(pid: object, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    _write(tmp_path, {"run/sound.json": json.dumps({"pid": pid})})
    check_not_running(tmp_path, run_dir)


def test_a_number_that_has_gone_to_another_process_is_nobodys(tmp_path: Path) -> None:
    check_not_running(tmp_path, _mirror(tmp_path, "sound", 4242, "/usr/sbin/sshd -D"))


def test_a_service_that_has_ended_is_nobodys(tmp_path: Path) -> None:
    run_dir = _mirror(tmp_path, "sound", 4242)
    (tmp_path / "proc/4242/cmdline").unlink()
    check_not_running(tmp_path, run_dir)
