"""What is heard while the process that plays is stopped: arithmetic, and PCMs of all kinds."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from waiting import HANG_S
from ytm_device.sound.alsa import Granted
from ytm_device.sound.guard import Guard
from ytm_device.sound.sink import PERIOD, PERIODS
from ytm_device.sound.writers import GUARD_PERIODS, guard_length, margin

LENGTH, FADE, SHORT = 160, 40, 16
LOUD = 30000
ROUNDING = 2
CONFIGURATION = """
pcm_type.paced {{ lib "{library}" }}
pcm.card {{ type paced file "{folder}/card.raw" log "{folder}/card.log" keep "{folder}/keep" }}
pcm.plugged {{ type plug slave.pcm card }}
pcm.card44 {{ type paced file "{folder}/card44.raw" rate 44100 }}
pcm.converted {{ type plug slave.pcm card44 }}
pcm.card300 {{ type paced file "{folder}/card300.raw" rate 44100 channels 1 period 300 }}
pcm.odd {{ type plug slave.pcm card300 }}
pcm.card1 {{ type paced file "{folder}/card1.raw" channels 1 }}
pcm.mono {{ type plug slave.pcm card1 }}
pcm.nothing {{ type null }}
pcm.recorded {{ type file slave.pcm nothing file "{folder}/recorded.raw" format raw }}
"""
PREAMBLE = """
import os, signal, subprocess, sys, time
from pathlib import Path
import numpy as np
from ytm_device.sound.card import CardSink
from ytm_device.sound.pcm import AlsaSink

keep = Path("keep")
at = 0

def play(sink, periods):
    global at
    for _ in range(periods):
        tone = 0.5 * np.sin(0.05 * (at + np.arange(sink.period, dtype=np.float32)))
        sink.write(tone.astype(np.float32))
        at += sink.period

STOP = "import os, signal, sys, time; pid = int(sys.argv[1]); os.kill(pid, signal.SIGSTOP);"
STOP += "time.sleep(float(sys.argv[2])); os.kill(pid, signal.SIGCONT)"

def stop_for(seconds):
    stopper = subprocess.Popen([sys.executable, "-c", STOP, str(os.getpid()), str(seconds)])
    return stopper
"""


def _tone(first: int, frames: int) -> np.ndarray:
    tone = LOUD * np.sin(0.1 * np.arange(first, first + frames))
    return np.round(tone).astype(np.int16)[:, np.newaxis]


LARGEST_STEP = 0.1 * LOUD


@given(stops=st.lists(st.integers(0, LENGTH), min_size=1, max_size=40))
def test_no_stop_makes_a_click_or_is_louder(stops: list[int]) -> None:
    """What a card hears: periods, and as much of the guard as each stop let it come to."""
    guard = Guard(SHORT, LENGTH, FADE, 1)
    played, rest = [], np.zeros((0, 1), np.int16)
    for index, heard in enumerate([0, *stops]):
        played.append(rest[:heard])
        guard.lay_out(_tone(index * SHORT, SHORT), heard)
        played.append(guard.frames[:SHORT].copy())
        rest = guard.frames[SHORT:].copy()
    stream = np.concatenate([*played, rest])[:, 0].astype(int)
    # In a cross-fade of two tones, what one loses in a sample the other may gain.
    assert np.abs(np.diff(stream)).max() <= LARGEST_STEP + 2 * LOUD * np.pi / 2 / SHORT + ROUNDING
    assert np.abs(stream).max() <= LOUD
    assert abs(stream[-1]) <= 0.01 * LOUD


def test_the_guard_is_the_last_sound_turned_round() -> None:
    guard = Guard(SHORT, LENGTH, FADE, 1)
    for index in range(20):
        guard.lay_out(_tone(index * SHORT, SHORT), 0)
    turned = _tone(20 * SHORT - LENGTH, LENGTH)[::-1]
    assert np.array_equal(guard.frames[:SHORT], _tone(19 * SHORT, SHORT))
    assert np.array_equal(guard.frames[SHORT:-FADE], turned[:-FADE])
    assert np.abs(guard.frames[-4:]).max() <= 0.02 * LOUD


def test_what_was_taken_back_leaves_no_trace() -> None:
    one, other = (Guard(SHORT, LENGTH, FADE, 1) for _ in range(2))
    for index in range(30):
        other.lay_out(_tone(1000, SHORT), index % LENGTH)
        other.take_back()
        for each in (one, other):
            each.lay_out(_tone(index * SHORT, SHORT), 7 * index % LENGTH)
        assert np.array_equal(one.frames, other.frames)


def test_after_silence_there_is_nothing_to_turn_round() -> None:
    guard = Guard(SHORT, LENGTH, FADE, 1)
    guard.lay_out(_tone(0, SHORT), 0)
    guard.forget()
    guard.lay_out(np.zeros((SHORT, 1), np.int16), 0)
    assert not guard.frames.any()


def test_no_memory_is_asked_for_between_periods() -> None:
    guard, sound = Guard(256, 11264, 960, 2), np.zeros((256, 2), np.int16)
    for heard in (0, 11264):
        guard.lay_out(sound, heard)
    tracemalloc.start()
    try:
        for turn in range(200):
            guard.lay_out(sound, 11264 if turn % 50 == 0 else 0)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak_bytes < sound.nbytes * 4


WHOLE = Granted(48000, 2, PERIOD, (PERIODS + GUARD_PERIODS) * PERIOD, in_lumps=False)
LUMPS = Granted(48000, 2, PERIOD, (PERIODS + GUARD_PERIODS) * PERIOD, in_lumps=True)


@pytest.mark.parametrize(
    ("granted", "periods", "length"),
    [
        (WHOLE, PERIODS, GUARD_PERIODS * PERIOD),
        (WHOLE, 2, GUARD_PERIODS * PERIOD),
        (LUMPS, PERIODS, GUARD_PERIODS * PERIOD),
        (LUMPS, 3, 0),
        (Granted(48000, 2, PERIOD, 16 * PERIOD, in_lumps=False), PERIODS, 12 * PERIOD),
        (Granted(48000, 2, PERIOD, 6 * PERIOD, in_lumps=False), PERIODS, 0),
    ],
)
def test_the_guard_takes_the_room_that_is_left(granted: Granted, periods: int, length: int) -> None:
    assert guard_length(granted, periods, 48000) == length


def test_a_card_that_speaks_late_is_given_a_period_more() -> None:
    assert margin(LUMPS) == 2 * PERIOD > PERIOD + margin(WHOLE)


@pytest.fixture
def child(tmp_path: Path, card_library: Path) -> Callable[[str], str]:
    """Runs code where there are PCMs of all kinds; gives what it said on standard error."""
    configuration = tmp_path / "asound.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, library=card_library))

    def run(code: str) -> str:
        done = subprocess.run(
            [sys.executable, "-c", PREAMBLE + textwrap.dedent(code)],
            cwd=tmp_path,
            env=os.environ | {"ALSA_CONFIG_PATH": str(configuration)},
            capture_output=True,
            text=True,
            timeout=HANG_S,
        )
        assert done.returncode == 0, done.stderr
        return done.stderr

    return run


@pytest.mark.parametrize(
    ("name", "guard", "is_odd"),
    [
        ("card", GUARD_PERIODS * PERIOD, False),
        ("plugged", GUARD_PERIODS * PERIOD, False),
        ("mono", GUARD_PERIODS * PERIOD, False),
        ("converted", 0, False),
        ("odd", 0, True),
        ("nothing", 0, False),
        ("recorded", 0, True),
    ],
)
def test_only_what_gives_back_gets_a_guard(
    child: Callable[[str], str], name: str, guard: int, is_odd: bool
) -> None:
    """What converts rates gives nothing back, and says so only at some rates and periods."""
    child(
        f"""
        sink = AlsaSink({name!r}, 48000)
        assert sink.guard == {guard}
        assert (sink.oddity is not None) == {is_odd}
        assert {guard} == 0 or sink.buffer == {PERIODS * PERIOD}
        play(sink, 10)
        sink.close()
        """
    )


def test_a_guard_is_never_heard_where_nothing_stops(
    child: Callable[[str], str], tmp_path: Path
) -> None:
    """Closing takes it back, too."""
    child(
        """
        sink = AlsaSink("card", 48000, periods=32)
        play(sink, 100)
        assert (sink.underruns, sink.bridged) == (0, 0)
        sink.close()
        """
    )
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0]
    expected = 0.5 * 32767 * np.sin(0.05 * np.arange(100 * PERIOD))
    assert heard.shape == expected.shape
    assert np.abs(heard - expected).max() <= 3


def test_a_stop_is_bridged_and_the_delay_is_what_it_was(
    child: Callable[[str], str], tmp_path: Path
) -> None:
    child(
        """
        sink = AlsaSink("card", 48000)
        play(sink, 60)
        stopper = stop_for(0.1)
        while stopper.poll() is None:
            play(sink, 1)
        assert sink.bridged >= 1
        play(sink, 2 * sink.buffer // sink.period)
        queued = sink._writer._queued()
        assert queued <= sink.buffer + sink.guard
        sink.close()
        """
    )
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0].astype(int)
    assert np.abs(np.diff(heard)).max() <= 1.5 * 0.05 * 0.5 * 32767
    quiet = np.abs(heard) < 300
    assert _longest(quiet) < 0.01 * 48000


STOPPED_AFTER_TAKING_BACK = """
        sink = AlsaSink("card", 48000)
        play(sink, 60)
        rewind, stops = sink._pcm.rewind, [{seconds}]

        def rewind_and_stop(frames):
            given = rewind(frames)
            time.sleep(stops.pop() if stops else 0)
            return given

        sink._pcm.rewind = rewind_and_stop
        play(sink, 60)
        print(sink.underruns, file=sys.stderr)
        sink.close()
        """


def test_a_stop_between_taking_back_and_writing_is_no_gap(
    child: Callable[[str], str], tmp_path: Path
) -> None:
    said = child(STOPPED_AFTER_TAKING_BACK.format(seconds=0.1))
    assert said.strip() == "0"
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0].astype(int)
    assert _longest(np.abs(heard) < 300) < 0.01 * 48000
    assert np.abs(heard).max() <= 0.5 * 32767 + 2


@pytest.mark.parametrize("seconds", [0.4, 0.5, 0.6, 1.0])
def test_what_lies_in_the_card_is_heard_once_and_then_silence(
    child: Callable[[str], str], tmp_path: Path, seconds: float
) -> None:
    """What would be written too late, into a ring that has gone round meanwhile, is not."""
    said = child(STOPPED_AFTER_TAKING_BACK.format(seconds=seconds))
    assert said.strip() == "1"
    heard = np.fromfile(tmp_path / "card.raw", "<i2").reshape(-1, 2)[:, 0].astype(int)
    assert _longest(heard == 0) > (seconds - 0.3) * 48000
    assert np.abs(heard).max() <= 0.5 * 32767 + 2
    assert np.abs(np.diff(heard)).max() <= 1.5 * 0.05 * 0.5 * 32767


def _longest(true: np.ndarray) -> int:
    ends = np.flatnonzero(np.concatenate([[True], ~true, [True]]))
    return int(np.diff(ends).max()) - 1


def test_a_card_that_keeps_what_it_was_given_gets_no_guard(child: Callable[[str], str]) -> None:
    said = child(
        """
        keep.touch()
        sink = CardSink("card", 48000)
        assert (sink.guard, sink.buffer, sink.problem) == (0, 4 * 256, None)
        play(sink, 20)
        for _ in range(3):
            sink.reopen(time.monotonic_ns())
        sink.close()
        """
    )
    assert said.count("card: does not give back what was written ahead") == 1


def test_a_guard_that_goes_wrong_is_given_up_for_good(
    child: Callable[[str], str], tmp_path: Path
) -> None:
    said = child(
        """
        sink = CardSink("card", 48000)
        play(sink, 20)
        assert sink.guard > 0
        keep.touch()
        play(sink, 4)
        assert sink.guard == 0
        play(sink, 60)
        assert (sink.name, sink.losses, sink.problem) == ("card", 0, None)
        assert sink._sink._writer._queued() <= sink.buffer
        for _ in range(3):
            sink.reopen(time.monotonic_ns())
        sink.close()
        """
    )
    assert said.count("card: does not give back what was written ahead") == 1
    heard = np.fromfile(tmp_path / "card.raw", "<i2")
    assert np.abs(heard).max() <= 0.5 * 32767 + 2
