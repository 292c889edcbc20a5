from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from ytm_device.sound.gesture import (
    ATTACK_STEPS,
    BETWEEN_LIFT,
    FADE_S,
    JOIN_S,
    Gesture,
    Playhead,
    between,
    lay_out,
    loudest_rise,
)

STEP_S = 256 / 48000
FRAMES = 188
FADE_STEPS = round(FADE_S / STEP_S)


def _ramp() -> np.ndarray:
    """float32 (2, FRAMES): a rising band and a falling one, all values different."""
    rising = 1 + np.arange(FRAMES, dtype=np.float32)
    return np.stack([rising, rising[::-1]])


def _flat(value: float, n_mels: int = 1, frames: int = FRAMES) -> Gesture:
    return lay_out(np.full((n_mels, frames), value, np.float32), 1, STEP_S)


def _columns(head: Playhead, gesture: Gesture, count: int, ahead: int = 0) -> np.ndarray:
    columns = []
    for _ in range(count):
        head.advance(gesture, strike=False)
        columns.append(head.column(ahead).copy())
    return np.stack(columns)


@pytest.mark.parametrize("steps_per_frame", [1, 2])
def test_steps_lie_between_their_frames(steps_per_frame: int) -> None:
    power = _ramp()
    steps = between(power, steps_per_frame)
    assert len(steps) == (FRAMES - 1) * steps_per_frame + 1
    assert np.array_equal(steps[::steps_per_frame], power.T)
    if steps_per_frame == 2:
        magnitudes = np.sqrt(power.T)
        halves = (magnitudes[:-1] + magnitudes[1:]) / 2
        assert np.allclose(np.sqrt(steps[1::2]) / BETWEEN_LIFT, halves, rtol=0.02)


def test_the_end_is_laid_over_the_beginning() -> None:
    gesture = lay_out(_ramp(), 1, STEP_S)
    join = round(JOIN_S / STEP_S)
    assert len(gesture.rows) == FRAMES - join
    assert np.array_equal(gesture.rows[join:], _ramp().T[join : FRAMES - join])
    around = np.concatenate([gesture.rows[-8:], gesture.rows[:8]])
    assert np.abs(np.diff(around, axis=0)).max() < 0.2 * (FRAMES - 1)


@pytest.mark.parametrize("steps_per_frame", [1, 2])
def test_a_held_gesture_repeats(steps_per_frame: int) -> None:
    gesture = lay_out(_ramp(), steps_per_frame, STEP_S)
    head = Playhead(2, STEP_S)
    _columns(head, gesture, 20)
    once = _columns(head, gesture, len(gesture.rows))
    assert np.array_equal(once, _columns(head, gesture, len(gesture.rows)))


@pytest.mark.parametrize("frames", [2, 3, 9, 188])
def test_every_column_of_a_constant_mel_is_the_same(frames: int) -> None:
    gesture = _flat(3, n_mels=2, frames=frames)
    columns = _columns(Playhead(2, STEP_S), gesture, 50)
    assert np.allclose(columns[FADE_STEPS:], 3)
    assert np.all(np.diff(columns[:FADE_STEPS], axis=0) > 0)


def test_a_new_gesture_takes_over_under_the_running_playhead() -> None:
    head = Playhead(1, STEP_S)
    rising = lay_out(10 + np.arange(FRAMES, dtype=np.float32)[None], 1, STEP_S)
    low = _flat(1)
    _columns(head, low, 50)
    columns = _columns(head, rising, 20)[:, 0]
    # The first gesture came when the playhead was at 0, and so at 49 after 50 steps.
    assert np.array_equal(columns[FADE_STEPS - 1 :], rising.rows[50 + FADE_STEPS - 1 : 70, 0])
    assert np.all(np.diff(columns) > 0)


def test_looking_ahead_sees_what_will_come() -> None:
    gesture = lay_out(_ramp(), 1, STEP_S)
    here, ahead = Playhead(2, STEP_S), Playhead(2, STEP_S)
    now = _columns(here, gesture, 400)
    before = _columns(ahead, gesture, 400, ahead=2)
    assert np.array_equal(now[2:], before[:-2])


def test_a_gesture_that_comes_during_a_fade_waits_for_its_end() -> None:
    head = Playhead(1, STEP_S)
    quiet, loud, louder = _flat(0), _flat(1), _flat(2)
    _columns(head, quiet, 50)
    assert head.advance(loud, strike=False)
    changed = [head.advance(louder, strike=False) for _ in range(FADE_STEPS)]
    assert changed == [False] * (FADE_STEPS - 1) + [True]
    columns = _columns(head, louder, 20)[:, 0]
    assert np.abs(np.diff(columns)).max() <= 1 / FADE_STEPS + 1e-6
    assert columns[-1] == 2


def test_a_strike_goes_to_the_onset() -> None:
    power = np.full((3, FRAMES), 0.01, np.float32)
    power[:, 100:120] = 1
    gesture = lay_out(power, 1, STEP_S)
    assert gesture.onset == 100 - ATTACK_STEPS
    head = Playhead(3, STEP_S)
    _columns(head, gesture, 30)
    assert head.advance(gesture, strike=True)
    columns = _columns(head, gesture, 10)
    assert np.array_equal(columns[FADE_STEPS:], gesture.rows[gesture.onset + 1 + FADE_STEPS :][:6])


def test_a_strike_during_a_fade_is_not_lost() -> None:
    head = Playhead(1, STEP_S)
    gesture = lay_out(_ramp()[:1], 1, STEP_S)
    _columns(head, _flat(0), 50)
    head.advance(gesture, strike=False)
    head.advance(gesture, strike=True)
    columns = _columns(head, gesture, 20)[:, 0]
    assert gesture.rows[gesture.onset + 10, 0] in columns


def test_the_loudest_rise_may_be_at_the_seam() -> None:
    rows = np.ones((10, 2), np.float32)
    rows[-1] = 0
    assert loudest_rise(rows) == (0 - ATTACK_STEPS) % 10


def test_a_playhead_takes_no_memory() -> None:
    head, gestures = Playhead(64, STEP_S), [_flat(k, n_mels=64) for k in range(4)]
    _columns(head, gestures[0], 10)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for turn in range(2000):
        head.advance(gestures[turn // 7 % 4], strike=turn % 50 == 0)
        head.column(1)
    peak = tracemalloc.get_traced_memory()[1] - before
    tracemalloc.stop()
    # Below what one column would take if it were made anew and kept.
    assert peak < 64 * 4 * 8
