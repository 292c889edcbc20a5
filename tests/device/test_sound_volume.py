from __future__ import annotations

import math
from datetime import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_device.sound.volume import GLIDE_S, Gain, Volume
from ytm_device.wall_clock import Hours

RATE_HZ = 48000
CHUNK = 256
GLIDE = int(GLIDE_S * RATE_HZ)
NIGHT = Hours(time(22, 0), time(8, 0))
LEVELS_DB = st.one_of(st.floats(-80, 12), st.just(-math.inf))


def _applied(gain: Gain, samples: int, chunk: int = CHUNK) -> np.ndarray:
    """The gain of each of at least `samples` samples."""
    chunks = [np.ones(chunk, np.float32) for _ in range(-(-samples // chunk))]
    for ones in chunks:
        gain.apply(ones)
    return np.concatenate(chunks)


def _settled(target_db: float) -> Gain:
    gain = Gain(CHUNK, RATE_HZ)
    gain.target_db = target_db
    _applied(gain, GLIDE)
    return gain


@pytest.mark.parametrize(
    ("now", "clock_is_set", "expected_db"),
    [
        (time(23, 0), True, -15),
        (time(8, 0), True, -3),
        (time(23, 0), False, -3),
        (time(12, 0), False, -3),
    ],
)
def test_night_is_quieter_while_the_clock_is_set(
    now: time, clock_is_set: bool, expected_db: float
) -> None:
    assert Volume(-3, -12, NIGHT).decibels(now, clock_is_set) == expected_db


def test_without_hours_there_is_no_night() -> None:
    assert Volume().decibels(time(23, 0), clock_is_set=True) == 0


def test_the_least_volume_is_silence_even_before_the_night_lowers_it() -> None:
    assert Volume(12, 0, NIGHT).decibels(time(0, 0), clock_is_set=True) == 12
    assert Volume(-60, -60, NIGHT).decibels(time(0, 0), clock_is_set=True) == -math.inf


@pytest.mark.parametrize("chunk", [CHUNK, 37, 64, 4096])
def test_it_begins_in_silence_and_rises_in_a_straight_line(chunk: int) -> None:
    gain = Gain(chunk, RATE_HZ)
    assert gain._current == 0
    gains = _applied(gain, GLIDE, chunk)
    line = np.arange(1, GLIDE + 1) / GLIDE
    assert gains[:GLIDE] == pytest.approx(line, abs=1e-6)
    assert np.all(gains[GLIDE:] == 1)
    assert gain._current == 1


@given(st.lists(st.tuples(LEVELS_DB, st.integers(1, 20)), max_size=8), LEVELS_DB)
def test_no_change_clicks_and_each_arrives(
    changes: list[tuple[float, int]], last_db: float
) -> None:
    gain = Gain(CHUNK, RATE_HZ)
    gains = [np.zeros(1, np.float32)]
    for target_db, chunks in [*changes, (last_db, 10)]:
        gain.target_db = target_db
        gains.append(_applied(gain, chunks * CHUNK))
    steepest = 10 ** (12 / 20) / GLIDE
    assert np.abs(np.diff(np.concatenate(gains))).max() < steepest + 1e-6
    expected = 10 ** (last_db / 20) if last_db > -math.inf else 0.0
    assert gains[-1][-1] == np.float32(expected)
    assert gain._current == expected


def test_at_full_level_samples_are_untouched() -> None:
    gain = _settled(0)
    samples = np.float32(np.random.default_rng(3).normal(size=CHUNK))
    kept = samples.copy()
    gain.apply(samples)
    assert samples.tobytes() == kept.tobytes()


def test_silence_is_wholly_silent_and_says_when() -> None:
    gain = _settled(0)
    gain.target_db = -math.inf
    _applied(gain, CHUNK)
    assert 0 < gain._current < 1
    _applied(gain, GLIDE)
    assert gain._current == 0
    assert not np.any(_applied(gain, CHUNK))


def test_a_steady_gain_is_what_was_asked_for() -> None:
    assert np.all(_applied(_settled(-6), CHUNK) == np.float32(10 ** (-6 / 20)))
    assert np.all(_applied(_settled(12), CHUNK) == np.float32(10 ** (12 / 20)))


def test_after_a_restart_it_fades_in_again() -> None:
    gain = _settled(-6)
    gain.restart()
    assert gain._current == 0
    gains = _applied(gain, GLIDE)
    assert gains[0] == pytest.approx(10 ** (-6 / 20) / GLIDE)
    assert gain._current == 10 ** (-6 / 20)
