"""The three services as one mirror: they start, stop and die together, and keep nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mirror_process import children, gone, in_run_folder, mirroring
from waiting import HANG_S, wait_for
from ytm_device.options import SERVICES
from ytm_device.status import read_status

Start = Callable[..., AbstractContextManager[subprocess.Popen[str]]]
WRITTEN_PER_FRAME_BYTES = 1000
"""A status a second comes to some 20; a picture of the tiny bundle has 3,072."""


@pytest.fixture
def start(tmp_path: Path, environment: dict[str, str], tiny_bundle_path: Path) -> Start:
    """Run a mirror of the drawn visitor with more arguments, and settings of the environment."""

    def starting(*arguments: str, services: Sequence[str] = SERVICES, **settings: str):
        always = ["--camera", "demo", "--json", "--bundle", tiny_bundle_path]
        return mirroring([*always, *arguments], environment | settings, tmp_path, services)

    return starting


@pytest.fixture
def running(start: Start) -> Iterator[subprocess.Popen[str]]:
    """A headless mirror of the drawn visitor whose three services are up."""
    with start("--headless") as process:
        yield process


@pytest.fixture
def run_folder(running, environment) -> Path:
    """Where the services of `running` meet."""
    (folder,) = Path(environment["XDG_RUNTIME_DIR"]).iterdir()
    return folder


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_all_three_and_sums_up(running, number):
    services = children(running)
    assert set(services) == set(SERVICES)
    running.send_signal(number)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, stderr
    assert set(SERVICES) < set(json.loads(stdout))
    assert all(gone(pid) for pid in services.values())


@pytest.mark.parametrize("service", SERVICES)
def test_if_one_dies_all_stop_and_it_is_named(running, service):
    services = children(running)
    os.kill(services[service], signal.SIGKILL)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 1
    assert stdout == ""
    assert stderr.splitlines()[-1].startswith(f"error: {service} stopped: killed by signal 9")
    assert all(gone(pid) for pid in services.values())


def test_leaving_the_screen_leaves_the_mirror(running):
    services = children(running)
    os.kill(services["screen"], signal.SIGTERM)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, stderr
    assert set(SERVICES) < set(json.loads(stdout))
    assert all(gone(pid) for pid in services.values())


def test_nobody_is_left_behind_when_the_parent_is_killed(running):
    services = children(running)
    running.kill()
    wait_for(lambda: all(gone(pid) for pid in services.values()))


def test_a_service_that_hangs_is_killed_and_named(running):
    services = children(running)
    os.kill(services["sound"], signal.SIGSTOP)
    running.terminate()
    _, stderr = running.communicate(timeout=HANG_S)
    assert "sound did not stop within" in stderr
    assert running.returncode == 1
    assert stderr.splitlines()[-1] == "error: sound stopped: killed by signal 9"
    assert all(gone(pid) for pid in services.values())


def test_the_run_folder_is_private(running, run_folder, environment):
    assert stat.S_IMODE(run_folder.stat().st_mode) == 0o700
    own = {f"{name}.{kind}" for name in SERVICES for kind in ("json", "sock")}
    assert in_run_folder(environment) == {"reflections", *own}


def test_no_service_writes_what_it_sees_or_plays_anywhere(running, run_folder):
    """The kernel counts the bytes that each has written to files of any kind."""
    services = children(running)

    def reflections() -> int:
        return int(str(read_status(run_folder, "reflect").get("reflections", 0)))

    begun, before = reflections(), {name: written(pid) for name, pid in services.items()}
    wait_for(lambda: reflections() >= begun + 60)
    for name, pid in services.items():
        assert written(pid) - before[name] < 60 * WRITTEN_PER_FRAME_BYTES, name


def written(pid: int) -> int:
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["wchar"])


def test_the_show_goes_on_without_its_run_folder(running, run_folder):
    run_folder.rename(run_folder.with_name("moved"))
    running.send_signal(signal.SIGINT)
    stdout, stderr = running.communicate(timeout=HANG_S)
    assert running.returncode == 0, stderr
    assert json.loads(stdout)["reflect"] == {}
    assert "Traceback" not in stderr
    for name in SERVICES:
        assert f"{name}: {run_folder}: the status cannot be written" in stderr


@pytest.mark.skipif(shutil.which("xdotool") is None, reason="needs xdotool to press a key")
def test_escape_on_a_screen_leaves_and_a_missing_sound_card_is_named(start: Start, x_server: Any):
    with start(DISPLAY=x_server.display) as process:
        services = children(process)
        wait_for(lambda: np.ptp(x_server.pixels()) > 50)
        press = ["xdotool", "key", "Escape"]
        environment = os.environ | {"DISPLAY": x_server.display}
        subprocess.run(press, env=environment, check=True, timeout=HANG_S)
        stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, stderr
    figures = json.loads(stdout)
    height, width = x_server.pixels().shape[:2]
    assert (figures["screen"]["width"], figures["screen"]["height"]) == (width, height)
    assert figures["sound"]["sink"] == "none (clock)"
    assert "sound: no sound card is found; the sound is made, and heard once there is one" in stderr
    assert "sound only" not in stderr
    assert all(gone(pid) for pid in services.values())


def test_without_a_display_the_mirror_is_heard_and_the_display_named(
    start: Start, paced_cards: Path, tmp_path: Path
):
    with start(services=("reflect", "sound"), ALSA_CONFIG_PATH=str(paced_cards)) as process:
        if "screen" in children(process):
            pytest.skip("this machine has a display that no setting hides")
        wait_for(lambda: (tmp_path / "card44.raw").stat().st_size > 10_000)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=HANG_S)
    assert process.returncode == 0, stderr
    figures = json.loads(stdout)
    assert "screen" not in figures
    assert figures["sound"]["sink"] == "default"
    assert "screen: no display found" in stderr
    # A card that rates are converted for takes nothing back, and that is all there is to say of it.
    said = [line for line in stderr.splitlines() if line.startswith("sound:")]
    assert all("does not give back" in line for line in said)
    assert np.abs(np.fromfile(tmp_path / "card44.raw", "<i2").astype(int)).max() > 100
