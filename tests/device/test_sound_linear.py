from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ytm_device.sound.griffin_lim import linear_magnitude
from ytm_device.sound.linear import LinearSpectrum


def test_without_updates_it_is_the_pseudo_inverse(preset: Any) -> None:
    power = preset.sound.unscale(preset.mel)
    found = LinearSpectrum(preset.matrices, 0).magnitude(power[:, 3])
    assert np.allclose(found, linear_magnitude(power, preset.matrices.inverse)[3], atol=1e-3)


def test_updates_come_closer_to_the_mel(preset: Any) -> None:
    power = preset.sound.unscale(preset.mel)[:, 4]
    errors = [
        np.linalg.norm(
            preset.matrices.forward @ LinearSpectrum(preset.matrices, updates).magnitude(power) ** 2
            - power
        )
        for updates in (0, 2, 8)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 0.7 * errors[0]


@pytest.mark.parametrize("updates", [0, 5])
def test_silence_stays_silence(preset: Any, updates: int) -> None:
    linear = LinearSpectrum(preset.matrices, updates)
    assert not np.any(linear.magnitude(np.zeros(preset.sound.n_mels, np.float32)))


@pytest.mark.parametrize("level", [1e-12, 1e-4, 1e12])
def test_any_level_is_undone_alike(preset: Any, level: float) -> None:
    linear = LinearSpectrum(preset.matrices, 3)
    power = preset.sound.unscale(preset.mel)[:, 4]
    plain = linear.magnitude(power)
    scaled = linear.magnitude(power * np.float32(level))
    assert np.all(np.isfinite(scaled))
    assert np.linalg.norm(scaled / np.sqrt(level) - plain) < 1e-2 * np.linalg.norm(plain)
