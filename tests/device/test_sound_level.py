from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ytm_device.sound.level import KNEE, fade_in, fade_out, limit

ANY = hnp.arrays(np.float32, st.integers(0, 64), elements=st.floats(width=32))
FINITE = hnp.arrays(
    np.float32,
    st.integers(1, 64),
    elements=st.floats(-1000, 1000, width=32, allow_nan=False, allow_infinity=False),
)


@given(ANY)
def test_whatever_comes_stays_inside_full_scale(samples: np.ndarray) -> None:
    limited = limit(samples)
    assert limited.dtype == np.float32
    assert limited.shape == samples.shape
    assert np.all(np.abs(limited) <= 1)
    assert np.all(limited[~np.isfinite(samples)] == 0)


@given(FINITE)
def test_limiting_is_odd_monotonic_and_exact_below_the_knee(samples: np.ndarray) -> None:
    limited = limit(samples)
    quiet = np.abs(samples) <= KNEE
    assert np.array_equal(limited[quiet], samples[quiet])
    assert np.array_equal(limit(-samples), -limited)
    assert np.all(np.diff(limited[np.argsort(samples)]) >= 0)


def test_the_knee_is_smooth() -> None:
    line = np.linspace(0, 2, 20001, dtype=np.float32)
    slope = np.gradient(limit(line).astype(np.float64), line.astype(np.float64))
    assert np.abs(np.diff(slope)).max() < 0.02
    assert limit(np.float32([KNEE + 0.01])) == pytest.approx(KNEE + 0.01, abs=1e-4)


def test_fades_go_from_silence_to_full_level_and_back() -> None:
    flat = np.ones(1000, np.float32)
    rising = fade_in(flat)
    assert rising[0] < 1e-5
    assert rising[-1] > 1 - 1e-5
    assert np.all(np.diff(rising) >= 0)
    assert np.array_equal(fade_out(flat), rising[::-1])
    assert np.allclose(rising + fade_out(flat), 1, atol=1e-6)
