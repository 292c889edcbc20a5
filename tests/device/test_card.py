"""A card that is absent, held, pulled out and put back, through the real libasound.

libasound reads its configuration once in a process, so every such test runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from waiting import HANG_S
from ytm_bundle.errors import DeviceError
from ytm_device.sound import card
from ytm_device.sound.card import RETRY_S, CardSink
from ytm_device.sound.sink import PERIOD, PERIODS

CONFIGURATION = """
pcm_type.paced {{ lib "{library}" }}
pcm.card {{ type paced file "{folder}/card.raw" gone "{folder}/gone" log "{folder}/card.log" }}
pcm.odd {{ type paced file "{folder}/odd.raw" gone "{folder}/gone" channels 1 period 480 }}
pcm.card44 {{ type paced file "{folder}/card44.raw" rate 44100 }}
"""
PREAMBLE = """
import os, subprocess, sys, threading, time
from pathlib import Path
import numpy as np
from waiting import wait_for
from ytm_device.sound.card import CardSink
from ytm_device.sound.pcm import AlsaSink

gone = Path("gone")
played = 0

def play(sink):
    global played
    sink.write(np.full(sink.period, 0.5, np.float32))
    played += 1

def tend(sink):
    sink.reopen(time.monotonic_ns())

"""
Child = Callable[[str], str]


@pytest.fixture
def child(tmp_path: Path, card_library: Path) -> Child:
    """Runs code where there are paced cards; gives what it said on standard error."""
    configuration = tmp_path / "asound.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, library=card_library))
    environment = os.environ | {
        "ALSA_CONFIG_PATH": str(configuration),
        "PYTHONPATH": str(Path(__file__).parents[1]),
    }

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


def test_a_card_pulled_out_and_put_back(child: Child, tmp_path: Path) -> None:
    """With the audio thread and the second thread at work at the same time."""
    said = child(
        """
        sink = CardSink("card", 48000)
        stop = threading.Event()

        def audio():
            while not stop.is_set():
                play(sink)

        def until(condition):
            wait_for(condition, lambda: tend(sink))

        def play_on(periods=50):
            target = played + periods
            until(lambda: played >= target)

        thread = threading.Thread(target=audio)
        thread.start()
        play_on()
        assert (sink.name, sink.losses, sink.problem, sink.channels) == ("card", 0, None, 2)
        for losses in (1, 2):
            gone.touch()
            until(lambda: sink.losses == losses and sink.problem)
            play_on()
            assert (sink.name, sink.channels) == ("none (clock)", 1)
            assert (sink.period, sink.buffer) == (256, 4 * 256)
            assert "plugged in" in sink.problem or "cannot be opened" in sink.problem
            gone.unlink()
            until(lambda: sink.name == "card")
            play_on()
            assert sink.problem is None
        stop.set()
        thread.join()
        assert sink.changes == 4
        sink.close()
        """
    )
    assert said.count("card: takes no more samples (No such device); check") == 2
    assert said.count("card: there again") == 2
    assert "ALSA lib" not in said
    log = (tmp_path / "card.log").read_text().splitlines()
    underruns = sum(line.startswith("UNDERRUN") for line in log)
    assert sum(line.startswith("START") for line in log) == 3 + underruns
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)
    assert len(heard) >= 150 * 256 - 4 * 256
    assert np.abs(heard[heard[:, 0] > 0] - 0.5 * 32767).max() <= 1.5


def test_a_card_that_is_absent_at_the_start(child: Child, tmp_path: Path) -> None:
    """When it comes it may want another period than the clock's."""
    said = child(
        """
        gone.touch()
        sink = CardSink("odd", 48000)
        assert (sink.name, sink.period, sink.buffer) == ("none (clock)", 256, 4 * 256)
        assert "odd: cannot be opened for playback (No such device" in sink.problem
        for _ in range(20):
            play(sink)
            tend(sink)
        gone.unlink()
        wait_for(lambda: sink.name == "odd", lambda: (play(sink), tend(sink)))
        assert (sink.period, sink.buffer, sink.channels) == (480, 4 * 480, 1)
        assert (sink.losses, sink.problem, sink.changes) == (0, None, 1)
        for _ in range(10):
            play(sink)
        sink.close()
        """
    )
    assert said.count("odd: cannot be opened") == 1
    assert (tmp_path / "odd.raw").stat().st_size == 10 * 480 * 2


def test_a_card_that_another_process_holds(child: Child) -> None:
    said = child(
        """
        hold = (
            "import sys; from ytm_device.sound.pcm import AlsaSink;"
            "sink = AlsaSink('card', 48000); print('held', flush=True); sys.stdin.read()"
        )
        holder = subprocess.Popen(
            [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout.readline() == b"held\\n"
        sink = CardSink("card", 48000)
        assert "Device or resource busy" in sink.problem
        play(sink)
        holder.communicate()
        wait_for(lambda: sink.name == "card", lambda: (play(sink), tend(sink)))
        assert (sink.losses, sink.problem) == (0, None)
        sink.close()
        """
    )
    assert said.count("busy") == 1


def test_a_card_that_grants_something_else_says_so(child: Child) -> None:
    said = child(
        """
        sink = CardSink("card44", 48000)
        assert sink.problem.startswith("card44: grants rate 44100, the bundle's sound needs 48000")
        for _ in range(5):
            play(sink)
            tend(sink)
        assert sink.name == "none (clock)"
        sink.close()
        """
    )
    assert said.count("grants rate 44100") == 1


def test_underruns_are_kept_when_the_card_changes(child: Child) -> None:
    child(
        """
        sink = CardSink("card", 48000)
        for _ in range(10):
            play(sink)
        time.sleep(2 * (sink.buffer + sink.guard) / sink.rate_hz)
        play(sink)
        assert sink.underruns >= 1
        gone.touch()
        while sink.losses == 0:
            play(sink)
        underruns = sink.underruns
        assert sink.changes == 1
        time.sleep(2 * (sink.buffer + sink.guard) / sink.rate_hz)
        play(sink)
        assert sink.underruns == underruns
        gone.unlink()
        wait_for(lambda: sink.name == "card", lambda: (play(sink), tend(sink)))
        assert sink.underruns == underruns
        assert sink.changes == 2
        sink.close()
        """
    )


def test_losses_leak_no_file_descriptor(child: Child) -> None:
    child(
        """
        def cycle():
            global now_ns
            gone.touch()
            losses = sink.losses
            while sink.losses == losses:
                play(sink)
            for _ in range(2):
                now_ns += 10**10
                sink.reopen(now_ns)
                play(sink)
            gone.unlink()
            now_ns += 10**10
            sink.reopen(now_ns)
            play(sink)
            assert sink.name == "card"

        now_ns = time.monotonic_ns()
        sink = CardSink("card", 48000)
        cycle()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(50):
            cycle()
        assert sink.losses == 51
        assert len(os.listdir("/proc/self/fd")) == before
        sink.close()
        """
    )


def test_a_missing_card_is_tried_once_in_a_while_and_said_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tries = []

    def absent(name: str, *_: object) -> None:
        tries.append(name)
        raise DeviceError(f"{name}: absent")

    monkeypatch.setattr(card, "AlsaSink", absent)
    sink = CardSink("nobody", 48000)
    for tenths in range(100):
        sink.reopen(round(tenths * RETRY_S * 1e8))
    assert tries == ["nobody"] * (1 + 10)
    assert RETRY_S <= 5
    assert capsys.readouterr().err.count("nobody: absent") == 1
    assert sink.problem == "nobody: absent"


class _Card:
    """Stands for an `AlsaSink`, and notes in which thread what is done to it."""

    name, channels, period, buffer = "fake", 2, PERIOD, PERIOD * PERIODS
    guard, bridged, oddity = 0, 0, None

    def __init__(self, *_: object) -> None:
        self.underruns, self.vanished = 0, False
        self.threads: dict[str, int] = {}

    def write(self, samples: np.ndarray) -> None:
        self.threads["write"] = threading.get_ident()
        if self.vanished:
            raise card.CardGoneError("fake: vanished")

    def abandon(self) -> None:
        self.threads["abandon"] = threading.get_ident()


def test_the_audio_thread_closes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(card, "AlsaSink", _Card)
    sink = CardSink("fake", 48000)
    lost = sink._offered
    assert isinstance(lost, _Card)
    lost.vanished = True
    audio = threading.Thread(target=sink.write, args=(np.zeros(PERIOD, np.float32),))
    audio.start()
    audio.join(HANG_S)
    assert (sink.losses, sink.name) == (1, "none (clock)")
    assert lost.threads == {"write": audio.ident}
    sink.reopen(0)
    assert lost.threads == {"write": audio.ident, "abandon": threading.get_ident()}
    assert sink.name == "none (clock)"
    sink.write(np.zeros(PERIOD, np.float32))
    assert sink.name == "fake"
