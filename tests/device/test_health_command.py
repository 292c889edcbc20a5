"""`ytm-health` as it is typed: its exit code, its forms, and that it ends whatever hangs."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from healthy import WELL_BOARD, plant, units, write_mirror, write_program
from mirror_process import mirroring
from waiting import wait_for
from ytm_device.health import limits
from ytm_device.health.findings import KINDS
from ytm_device.health.said import SERVICES

BOUND_S = 30
"""Far more than five times as long as it may take."""
PATIENCE_S = 3
"""For answers, so that a machine that is busy testing is not taken for one that hangs."""
COMMAND = [sys.executable, "-m", "ytm_device.health.command", "--ask-for", str(PATIENCE_S)]
FAILING = """
from ytm_device.health import command

def fail(*_):
    raise RuntimeError("planted")

command.examine = fail
command.main()
"""
HEAVY = {"cv2", "gi", "numpy", "onnxruntime", "pydantic", "pygame", "rich", "typer"}
PAGE = Path(__file__).resolve().parents[2] / "docs" / "health.md"
Typed = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def board(tmp_path: Path) -> Path:
    """The root of a board that is well, with units; nothing runs in its `mirror`."""
    plant(tmp_path, WELL_BOARD)
    (tmp_path / "units").write_text(units(time.monotonic_ns()))
    write_program(tmp_path / "bin" / "systemctl", f"cat {tmp_path}/units")
    return tmp_path


@pytest.fixture
def health(board: Path) -> Typed:
    """Type `ytm-health ARGUMENTS` on the board."""

    def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
        path = f"{board / 'bin'}:/usr/bin:/bin"
        return subprocess.run(
            [*COMMAND, "--run-dir", board / "mirror", "--root", board, *map(str, arguments)],
            env={**os.environ, "PATH": path},
            text=True,
            timeout=BOUND_S,
            **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options},
        )

    return run


@pytest.fixture
def well(board: Path) -> Path:
    """The run folder of a mirror that is well, on the board."""
    write_mirror(board / "mirror", time.monotonic_ns())
    return board / "mirror"


def test_ok_is_0(health: Typed, well: Path) -> None:
    result = health()
    assert (result.returncode, result.stderr) == (0, "")
    first, *details = result.stdout.splitlines()
    assert first.startswith("YTM OK - mirrors somebody, 30.0 reflections a second | ")
    assert " reflect_frame_age_ms=21.5ms;1000" in first
    assert " reflect_reflections_per_s=30;15:" in first
    assert " sound_underruns=2c" in first
    assert " board_temperature_c=51.5;85;97" in first
    assert [line.partition(":")[0] for line in details] == ["reflect", "sound", "screen"]


def test_warning_is_1(health: Typed, well: Path) -> None:
    write_mirror(well, time.monotonic_ns(), sound={"muted": True})
    result = health()
    assert result.returncode == 1
    first, *details = result.stdout.splitlines()
    assert first.startswith("YTM WARNING - sound: is muted by hand | ")
    assert details[0] == "WARNING sound: is muted by hand"
    assert details[1] == "    sound.muted; what to do: `ytm-mirror ctl unmute`"


def test_critical_is_2_and_comes_first(health: Typed, well: Path) -> None:
    (well / "screen.json").unlink()
    write_mirror(well, time.monotonic_ns(), sound={"muted": True}, screen={"written_ns": 0})
    result = health()
    assert result.returncode == 2
    assert re.match(r"YTM CRITICAL - screen: has said nothing for \d+ s", result.stdout)
    assert "; its process is gone; 1 more | " in result.stdout.splitlines()[0]


def test_unknown_is_3(health: Typed, board: Path) -> None:
    (board / "units").write_text("")
    result = health()
    assert result.returncode == 3
    assert result.stdout.startswith("YTM UNKNOWN - mirror: no mirror runs here")


def test_installed_but_not_there_is_2(health: Typed) -> None:
    assert health().returncode == 2


@pytest.mark.parametrize("words", [["--no-such"], ["--prometheus"], ["extra"]])
def test_wrong_usage_is_3_in_one_line(health: Typed, words: list[str]) -> None:
    result = health(*words)
    assert (result.returncode, result.stdout) == (3, "")
    assert result.stderr.startswith("error: ")
    assert len(result.stderr.splitlines()) == 1


def test_json_says_it_all(health: Typed, well: Path) -> None:
    write_mirror(well, time.monotonic_ns(), reflect={"frame_age_ms": 2500})
    result = health("--json")
    report = json.loads(result.stdout)
    assert (report["level"], report["exit_code"], result.returncode) == ("WARNING", 1, 1)
    (finding,) = report["findings"]
    assert (finding["code"], finding["subject"]) == ("frame.old", "reflect")
    assert finding["what_to_do"] == KINDS["frame.old"].remedy
    assert report["services"]["screen"]["frames_per_s"] == 60
    assert report["heat"]["temperatures_c"] == {"cpu-thermal": 51.5}
    assert {"name": "frame_age_ms", "subject": "reflect", "value": 2500} in report["figures"]


def test_prometheus_gets_a_file_whole(health: Typed, well: Path, tmp_path: Path) -> None:
    path = tmp_path / "textfile" / "ytm.prom"
    path.parent.mkdir()
    path.write_text("of before")
    assert health("--prometheus", path).returncode == 0
    lines = path.read_text().splitlines()
    assert "ytm_health_level 0" in lines
    assert 'ytm_frame_age_ms{subject="reflect"} 21.5' in lines
    assert "# TYPE ytm_underruns counter" in lines
    assert len(lines) == len(set(lines))
    assert list(path.parent.iterdir()) == [path]
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


@pytest.mark.parametrize("name", ["none/ytm.prom", ".", "mirror"])
def test_a_prometheus_file_that_cannot_be_written_is_a_finding(
    health: Typed, well: Path, board: Path, name: str
) -> None:
    result = health("--prometheus", board / name)
    assert result.returncode == 1
    assert "prometheus.unwritten" in result.stdout
    assert not list(board.rglob("*.partial"))


def test_a_figure_that_cannot_be_had_is_left_out(health: Typed, well: Path) -> None:
    write_mirror(well, time.monotonic_ns(), screen={"frame_to_screen_p95_ms": None})
    result = health()
    assert result.returncode == 0
    assert "frame_to_screen" not in result.stdout


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, lambda path: path.write_text("{")])
def test_what_is_no_status_is_critical(health: Typed, well: Path, make) -> None:
    (well / "sound.json").unlink()
    make(well / "sound.json")
    result = health()
    assert result.returncode == 2
    assert "YTM CRITICAL - sound: its status cannot be read: " in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_run_folder_that_is_a_socket_is_judged(health: Typed, board: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(board / "mirror"))
        result = health()
    assert result.returncode == 2
    assert result.stderr == ""


@pytest.mark.parametrize("text", ["exec sleep 1000", "sleep 1000 & sleep 1000", "exit 1"])
def test_a_systemctl_that_hangs_holds_up_nothing(health: Typed, well: Path, text: str) -> None:
    write_program(well.parent / "bin" / "systemctl", text)
    result = health()
    assert result.returncode == 1
    assert result.stdout.startswith("YTM WARNING - board: systemd does not answer | ")


def test_it_ends_though_nobody_reads(health: Typed, well: Path) -> None:
    reading, writing = os.pipe()
    room = fcntl.fcntl(writing, fcntl.F_GETPIPE_SZ)
    os.write(writing, b"x" * room)
    assert health(stdout=writing).returncode == 0
    os.close(reading)
    assert health(stdout=writing).returncode == 0
    os.close(writing)


def test_it_answers_with_no_standard_files(well: Path, board: Path, tmp_path: Path) -> None:
    arguments = f"--run-dir {well} --root {board} --prometheus {tmp_path}/ytm.prom"
    closing = f"{' '.join(COMMAND)} {arguments} <&- >&- 2>&-"
    path = f"{board / 'bin'}:/usr/bin:/bin"
    result = subprocess.run(
        ["sh", "-c", closing], env={**os.environ, "PATH": path}, timeout=BOUND_S
    )
    assert result.returncode == 0
    assert "ytm_health_level 0" in (tmp_path / "ytm.prom").read_text()


@pytest.mark.parametrize("words", [[], ["--json"]])
def test_its_own_failure_is_unknown(words: list[str]) -> None:
    result = subprocess.run(
        [sys.executable, "-c", FAILING, *words], capture_output=True, text=True, timeout=BOUND_S
    )
    assert (result.returncode, result.stderr) == (3, "")
    assert "mirror.unjudged" in result.stdout
    assert "RuntimeError('planted')" in result.stdout


def test_nothing_is_loaded_that_may_hang_or_take_long() -> None:
    script = "import sys, ytm_device.health.command\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    loaded = {name.partition(".")[0] for name in result.stdout.split()}
    assert "ytm_device" in loaded
    assert not loaded & HEAVY
    own = loaded - {"ytm_device", "__main__"}
    assert own <= set(sys.stdlib_module_names) | _loaded_anyway()


def _loaded_anyway() -> set[str]:
    """What the virtual environment loads into every Python."""
    script = "import sys\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    return {name.partition(".")[0] for name in result.stdout.split()}


def _rows() -> dict[str, list[str]]:
    """First cell of each row of a table in the page, without backticks -> the other cells."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if "|" in line
    ]
    return {first.strip("` "): rest for first, *rest in cells}


def test_every_finding_is_documented_with_its_level_and_its_remedy() -> None:
    rows = _rows()
    for code, kind in KINDS.items():
        level, when, remedy = rows[code]
        assert (level, remedy) == (kind.level.name, kind.remedy)
        assert len(when) > 10
    codes = {name for name in rows if re.fullmatch(r"[a-z]+\.[a-z_]+", name)}
    assert codes == set(KINDS)


def test_every_threshold_is_documented_with_its_value() -> None:
    rows = _rows()
    thresholds = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert {name for name in rows if name.isupper()} == set(thresholds)
    for name, value in thresholds.items():
        assert rows[name][0] == f"{value:g}", name


def test_a_mirror_that_really_runs_is_judged(
    tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path
) -> None:
    """Each service says all that is expected of it, and moves."""
    arguments = ("--headless", "--camera", "demo", "--bundle", tiny_bundle_path)
    with mirroring(arguments, environment, tmp_path):
        (run_dir,) = Path(environment["XDG_RUNTIME_DIR"]).glob("ytm-*")
        report = wait_for(lambda: _settled(run_dir))
    assert set(report["services"]) == set(SERVICES)
    found = {finding["code"] for finding in report["findings"]}
    # What is slow, hot or full is the machine's affair; a light that is too dark is the visitor's.
    of_services = ("bundle.", "control.", "mirror.", "service.", "settings.")
    assert {code for code in found if code.startswith(of_services)} <= {"service.problem"}


def _settled(run_dir: Path) -> dict[str, Any] | None:
    """The report, once no service is starting."""
    result = subprocess.run(
        [*COMMAND, "--run-dir", run_dir, "--json"], capture_output=True, timeout=BOUND_S
    )
    report: dict[str, Any] = json.loads(result.stdout)
    codes = [finding["code"] for finding in report["findings"]]
    return None if "service.starting" in codes or "frame.none" in codes else report
