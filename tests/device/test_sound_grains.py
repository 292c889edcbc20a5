from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ytm_device.sound.gesture import lay_out
from ytm_device.sound.grains import Grains


def _grains(preset: Any) -> Grains:
    return Grains(preset.sound, preset.sound.inversion, preset.matrices)


def _next(grains: Grains, power: np.ndarray, *, strike: bool = False) -> np.ndarray:
    made = np.empty(grains.chunk, np.float32)
    grains.invert(lay_out(power, 1, 0.01), made, strike=strike)
    return made


def _hann(length: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)


def test_a_grain_of_the_paper_has_2048_samples(grains_preset: Any) -> None:
    grains = _grains(grains_preset)
    assert (
        grains.chunk == (grains_preset.sound.inversion.frames - 1) * grains_preset.sound.hop == 2048
    )


def test_grains_swell_and_fade_as_a_hann_window(grains_preset: Any) -> None:
    """The flutter of the artwork: the mean square over many grains of noise is Hann squared."""
    grains = _grains(grains_preset)
    power = np.ones(grains_preset.sound.mel_shape, np.float32)
    many = np.stack([_next(grains, power) for _ in range(300)])
    envelope = np.sqrt(np.mean(many**2, axis=0))
    assert np.all(many[:, 0] == 0)
    likeness = np.corrcoef(envelope, _hann(grains.chunk))[0, 1]
    assert likeness > 0.97


def test_the_playhead_runs_through_the_mel_and_begins_again(grains_preset: Any) -> None:
    """With one loud frame, only the grains that contain it sound."""
    sound = grains_preset.sound
    step = sound.inversion.frames - 1
    grains_in_mel = (sound.frames - 1) // step
    loud = 1
    power = np.zeros(sound.mel_shape, np.float32)
    power[:, step * loud + 1] = 1
    grains = _grains(grains_preset)
    sounding = [bool(np.any(_next(grains, power))) for _ in range(2 * grains_in_mel)]
    assert sounding == [index % grains_in_mel == loud for index in range(2 * grains_in_mel)]


def test_neighbouring_grains_share_a_frame(grains_preset: Any) -> None:
    sound = grains_preset.sound
    power = np.zeros(sound.mel_shape, np.float32)
    power[:, sound.inversion.frames - 1] = 1
    grains = _grains(grains_preset)
    assert np.any(_next(grains, power))
    assert np.any(_next(grains, power))


def test_the_place_in_the_mel_is_kept_when_a_newer_one_comes(grains_preset: Any) -> None:
    sound = grains_preset.sound
    second_only = np.zeros(sound.mel_shape, np.float32)
    second_only[:, sound.inversion.frames + 1] = 1
    grains = _grains(grains_preset)
    assert not np.any(_next(grains, np.zeros(sound.mel_shape, np.float32)))
    assert np.any(_next(grains, second_only))


@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_twice_the_amplitude_is_four_times_the_power(grains_preset: Any, factor: float) -> None:
    power = grains_preset.sound.unscale(grains_preset.mel)
    plain = _next(_grains(grains_preset), power)
    scaled = _next(_grains(grains_preset), power * np.float32(factor))
    assert np.allclose(scaled, plain * np.sqrt(factor), atol=1e-4 * np.abs(scaled).max())


def test_a_strike_begins_the_mel_again(grains_preset: Any) -> None:
    sound = grains_preset.sound
    power = np.zeros(sound.mel_shape, np.float32)
    power[:, 1] = 1
    grains = _grains(grains_preset)
    sounding = [bool(np.any(_next(grains, power, strike=True))) for _ in range(3)]
    assert sounding == [True] * 3
