from __future__ import annotations

import numpy as np
import pytest

from ytm_device.sound.gesture import Gesture, column, steps_in

STEP_S = 256 / 48000
FRAMES = 188


def _ramp() -> np.ndarray:
    """float32 (2, FRAMES): a rising band and a falling one, all values different."""
    rising = 1 + np.arange(FRAMES, dtype=np.float32)
    return np.stack([rising, rising[::-1]])


def _columns(gesture: Gesture, power: np.ndarray, count: int) -> np.ndarray:
    return np.stack([gesture.next(power) for _ in range(count)])


@pytest.mark.parametrize("steps_per_frame", [1, 2])
def test_columns_lie_between_their_frames(steps_per_frame: int) -> None:
    power = _ramp()
    steps = steps_in(FRAMES, steps_per_frame)
    columns = np.stack([column(power, step, steps_per_frame) for step in range(steps)])
    assert np.array_equal(columns[::steps_per_frame], power.T)
    if steps_per_frame == 2:
        assert np.allclose(columns[1::2], np.sqrt(power.T[:-1] * power.T[1:]))


@pytest.mark.parametrize("steps_per_frame", [1, 2])
def test_a_held_mel_repeats_without_a_jump(steps_per_frame: int) -> None:
    gesture = Gesture((2, FRAMES), steps_per_frame, STEP_S)
    power = _ramp()
    _columns(gesture, power, gesture.length)
    once = _columns(gesture, power, gesture.length)
    again = _columns(gesture, power, gesture.length)
    assert np.array_equal(once, again)
    seam = np.abs(np.diff(np.concatenate([once[-8:], again[:8]]), axis=0)).max()
    assert seam < 0.2 * (power.max() - power.min())


@pytest.mark.parametrize("frames", [2, 3, 9, 188])
def test_every_column_of_a_constant_mel_is_the_same(frames: int) -> None:
    gesture = Gesture((2, frames), 2, STEP_S)
    power = np.full((2, frames), 3, np.float32)
    columns = _columns(gesture, power, 50)
    assert np.allclose(columns[10:], 3)
    assert np.all(np.diff(columns[:10], axis=0) >= -1e-6)


def test_a_new_mel_takes_over_under_the_running_playhead() -> None:
    gesture = Gesture((1, FRAMES), 1, STEP_S)
    low = np.ones((1, FRAMES), np.float32)
    rising = 10 + np.arange(FRAMES, dtype=np.float32)[None]
    _columns(gesture, low, 50)
    columns = _columns(gesture, rising, 20)[:, 0]
    assert np.allclose(columns[4:], rising[0, 54:70])
    assert np.all(np.diff(columns) > 0)


def test_a_mel_that_comes_during_a_fade_makes_no_jump() -> None:
    gesture = Gesture((1, FRAMES), 1, STEP_S)
    quiet, loud = np.zeros((1, FRAMES), np.float32), np.ones((1, FRAMES), np.float32)
    _columns(gesture, quiet, 50)
    columns = [gesture.next(loud if turn % 2 else quiet.copy())[0] for turn in range(20)]
    assert np.abs(np.diff(columns)).max() < 0.3
