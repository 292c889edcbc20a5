"""The supervisor and the witnesses themselves: what is planted before them is noticed."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from ears import FULL_SCALE, Ears
from eyes import HEIGHT, WIDTH, looking, x_serving
from stalls import Stalls
from supervisor import Unit, supervising, unit_from_file
from waiting import wait_for

RATE_HZ = 48000
STAND_IN = """
import os, socket, sys, time
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
say = lambda word: notify.sendto(word, os.environ["NOTIFY_SOCKET"])
say(b"READY=1"); say(b"STATUS=" + os.environ["WATCHDOG_USEC"].encode())
while not os.path.exists(sys.argv[1]):
    say(b"WATCHDOG=1"); time.sleep(0.05)
time.sleep(1000)
"""
WATCHDOG_S = 1.0
QUIET = {"SDL_FRAMEBUFFER_ACCELERATION": "0", "PYGAME_HIDE_SUPPORT_PROMPT": "1"}


def stand_in(quiet: Path) -> Unit:
    """A service that is alive until the file `quiet` is there."""
    return Unit(
        name="stand-in",
        command=[sys.executable, "-c", STAND_IN, str(quiet)],
        environment={"PATH": "/usr/bin:/bin"},
        watchdog_s=WATCHDOG_S,
        restart_s=0.1,
        start_s=60,
        nice=0,
        stop_s=5,
    )


def test_what_is_killed_is_started_again(tmp_path: Path) -> None:
    with supervising([stand_in(tmp_path / "quiet")], tmp_path) as supervisor:
        first = supervisor.wait_ready("stand-in")
        assert supervisor.kill("stand-in") is first
        second = supervisor.wait_ready("stand-in", first)
        assert (first.code, first.bitten_ns) == (-signal.SIGKILL, None)
        assert first.ended_ns is not None
        assert second.started_ns - first.ended_ns >= 0.1 * 1e9
        wait_for(lambda: second.status == str(round(WATCHDOG_S * 1e6)))


def test_what_is_silent_is_bitten(tmp_path: Path) -> None:
    quiet = tmp_path / "quiet"
    with supervising([stand_in(quiet)], tmp_path) as supervisor:
        first = supervisor.wait_ready("stand-in")
        quiet.touch()
        wait_for(lambda: first.ended_ns)
        quiet.unlink()
        supervisor.wait_ready("stand-in", first)
    assert first.bitten_ns is not None
    assert first.bitten_ns - first.alive_ns[0] > WATCHDOG_S * 1e9
    assert first.code == -signal.SIGABRT


def test_what_is_stopped_is_bitten_too(tmp_path: Path) -> None:
    with supervising([stand_in(tmp_path / "quiet")], tmp_path) as supervisor:
        supervisor.wait_ready("stand-in")
        held = supervisor.hold("stand-in")
        supervisor.wait_ready("stand-in", held)
    assert held.code == -signal.SIGABRT


def test_all_are_told_to_end(tmp_path: Path) -> None:
    with supervising([stand_in(tmp_path / "quiet")], tmp_path) as supervisor:
        run = supervisor.wait_ready("stand-in")
    assert run.code == -signal.SIGTERM
    assert len(supervisor.runs("stand-in")) == 1


@pytest.mark.parametrize("name", ["reflect", "sound", "screen"])
def test_times_are_those_of_the_units(name: str) -> None:
    unit = unit_from_file(name, ["true"], {"HOME": "/"})
    assert unit.restart_s < 1 < unit.watchdog_s < unit.start_s
    assert unit.environment["PYTHONFAULTHANDLER"] == "1"
    assert unit_from_file(name, ["true"], {}, 3.0).watchdog_s == 3.0


def write_card(folder: Path, stretches: list[tuple[int, np.ndarray]]) -> Ears:
    """Card files in which these samples were heard from these times on."""
    frames = np.concatenate([samples for _, samples in stretches])
    np.repeat(frames[:, None], 2, axis=1).astype("<i2").tofile(folder / "card.raw")
    first, lines = 0, []
    for start_ns, samples in stretches:
        lines.append(f"START {start_ns} {first}\n")
        first += len(samples)
    (folder / "card.log").write_text("".join(lines))
    return Ears(folder, RATE_HZ)


def tone(seconds: float, level: int = 3000) -> np.ndarray:
    return (level * np.sin(0.05 * np.arange(round(seconds * RATE_HZ)))).astype(np.int16)


def test_ears_hear_a_planted_silence(tmp_path: Path) -> None:
    quiet = np.zeros(round(0.2 * RATE_HZ), np.int16)
    ears = write_card(tmp_path, [(10**9, np.concatenate([tone(1), quiet, tone(1)]))])
    assert ears.silences([(10**9, 3_200_000_000)]) == [(2 * 10**9, 2_200_000_000)]
    assert ears.silences([(10**9, 2_050_000_000)]) == []
    assert ears.first_after(10**9 + 1) == 1_010_000_000


def test_ears_take_what_nobody_wrote_for_silence(tmp_path: Path) -> None:
    ears = write_card(tmp_path, [(10**9, tone(1)), (2_150_000_000, tone(1))])
    assert ears.silences([(10**9, 3_150_000_000)]) == [(2 * 10**9, 2_150_000_000)]
    # Between two processes nobody is to be heard.
    assert ears.silences([(10**9, 2 * 10**9), (2_100_000_000, 3_150_000_000)]) == []


def test_ears_know_the_loudest(tmp_path: Path) -> None:
    ears = write_card(tmp_path, [(0, np.array([0, -FULL_SCALE, 5], np.int16))])
    assert ears.loudest_dbfs() == 0
    assert write_card(tmp_path, [(0, tone(0.1, 3277))]).loudest_dbfs() == pytest.approx(
        -20, abs=0.01
    )


def test_a_stall_of_a_core_explains(tmp_path: Path) -> None:
    for core, lines in enumerate(("100 200\n300 350\n", "120 130\n5", "")):
        (tmp_path / f"core{core}").write_text(lines)
    stalls = Stalls([tmp_path / f"core{core}" for core in range(3)])
    assert stalls.overlap_ns((150, 320)) == 70
    assert stalls.overlap_ns((210, 290)) == 0


def test_eyes_see_planted_black(folder: Path) -> None:
    with x_serving(folder) as server, looking(server.file) as eyes:
        script = Path(__file__).with_name("planted_black.py")
        started_ns = time.monotonic_ns()
        with subprocess.Popen(
            [sys.executable, str(script), f"{WIDTH}x{HEIGHT}"],
            env={"DISPLAY": server.display, **QUIET},
            stdout=subprocess.PIPE,
            text=True,
        ) as window:
            assert window.stdout is not None
            from_ns, until_ns = (int(window.stdout.readline()) for _ in range(2))
            wait_for(lambda: eyes.first_after(until_ns))
            window.kill()
        (dark,) = eyes.black([(started_ns, until_ns)])
        assert from_ns <= dark[0] < dark[1] <= until_ns
        assert dark[1] - dark[0] > (until_ns - from_ns) / 2
        assert eyes.black([(started_ns, from_ns)]) == []
        assert eyes.longest_frozen_s(from_ns, until_ns) > 0
        server.stop()
        wait_for(lambda: eyes.looks[-1].level == -1)
        ended_ns = time.monotonic_ns()
        server.start()
        wait_for(lambda: eyes.looks[-1].level == 0)
        assert eyes.first_after(ended_ns) is None
