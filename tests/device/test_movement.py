from __future__ import annotations

import numpy as np

from ytm_device.reflecting.movement import LAG_S, MAX_KEPT, REST_S, Movement

FRAME_NS = 33_000_000
START_NS = 5_000_000_000


def _moved(latents: np.ndarray, sudden_change: float | None = 1.0) -> list[int]:
    """The frames of (n, d) latents that were sudden changes, 30 a second."""
    movement, found, last = Movement(sudden_change), [], 0
    for index, latent in enumerate(latents.astype(np.float32)):
        moved_ns = movement.moved_ns(latent, START_NS + index * FRAME_NS)
        if moved_ns != last:
            assert moved_ns == START_NS + index * FRAME_NS
            found.append(index)
        last = moved_ns
    return found


def _still(frames: int) -> np.ndarray:
    return np.zeros((frames, 4))


def test_nobody_moves_nothing_changes() -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, (300, 4))
    assert _moved(noise) == []


def test_a_jump_is_noticed_once_in_the_very_frame() -> None:
    latents = _still(90)
    latents[40:, 0] = 1.2
    assert _moved(latents) == [40]


def test_a_fast_drift_counts_and_a_slow_one_does_not() -> None:
    drift = np.arange(90)[:, None] * np.eye(4)[:1]
    within_lag = round(LAG_S * 1e9 / FRAME_NS)
    assert _moved(drift * 0.9 / (within_lag + 1)) == []
    assert _moved(drift * 1.5 / within_lag)


def test_who_never_stops_moving_strikes_at_most_so_often() -> None:
    dance = np.random.default_rng(1).normal(0, 5, (300, 4))
    frames = _moved(dance)
    assert len(frames) >= 10
    assert min(np.diff(frames)) * FRAME_NS > REST_S * 1e9


def test_without_a_threshold_nothing_is_sudden() -> None:
    assert _moved(np.random.default_rng(1).normal(0, 5, (60, 4)), None) == []


def test_a_camera_of_any_rate_keeps_memory_bounded() -> None:
    movement = Movement(1.0)
    for index in range(1000):
        movement.moved_ns(np.zeros(4, np.float32), START_NS + index)
    assert len(movement._recent) == MAX_KEPT


def test_a_slow_camera_notices_too() -> None:
    movement = Movement(1.0)
    latents = [np.zeros(4, np.float32)] * 3 + [np.full(4, 2, np.float32)]
    found = [movement.moved_ns(each, START_NS + turn * 10**9) for turn, each in enumerate(latents)]
    assert found == [0, 0, 0, START_NS + 3 * 10**9]
