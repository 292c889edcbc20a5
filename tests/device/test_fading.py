from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.bundle import Bundle
from ytm_device.fading import (
    STALE_AFTER_S,
    STEPS,
    mirror_weight,
    mixed_mels,
    mixed_pictures,
    ramp,
    since_for,
)

S = 1_000_000_000
FADE_S = 2.0
TIMES = st.integers(-(2**62), 2**62)


@pytest.mark.parametrize(
    ("presence", "since_s", "taken_s", "now_s", "weight"),
    [
        (True, 10, 10, 10, 0.0),
        (True, 10, 10.5, 10.5, 0.25),
        (True, 10, 11, 11, 0.5),
        (True, 10, 12, 12, 1.0),
        (True, 10, 99, 99, 1.0),
        (False, 20, 20, 20, 1.0),
        (False, 20, 21, 21, 0.5),
        (False, 20, 25, 25, 0.0),
        (True, 10, 30, 30 + STALE_AFTER_S, 1.0),
        (True, 10, 30, 31 + STALE_AFTER_S, 0.5),
        (True, 10, 30, 33 + STALE_AFTER_S, 0.0),
    ],
)
def test_weight_of_the_mirror(
    presence: bool, since_s: float, taken_s: float, now_s: float, weight: float
) -> None:
    since_ns, taken_ns, now_ns = (round(time * S) for time in (since_s, taken_s, now_s))
    assert mirror_weight(presence, since_ns, taken_ns, now_ns, FADE_S) == weight


@given(presence=st.booleans(), since_ns=TIMES, taken_ns=TIMES, now_ns=TIMES)
def test_weight_is_always_a_step_between_nothing_and_all(
    presence: bool, since_ns: int, taken_ns: int, now_ns: int
) -> None:
    weight = mirror_weight(presence, since_ns, taken_ns, now_ns, FADE_S)
    assert 0 <= weight <= 1
    assert (weight * STEPS).is_integer()


@given(weight=st.integers(0, STEPS), presence=st.booleans(), now_ns=st.integers(0, 2**61))
def test_a_fade_goes_on_from_where_it_was(weight: int, presence: bool, now_ns: int) -> None:
    since_ns = since_for(weight / STEPS, presence, now_ns, FADE_S)
    assert mirror_weight(presence, since_ns, now_ns, now_ns, FADE_S) == weight / STEPS


def test_a_ramp_stays_at_its_ends() -> None:
    assert [ramp(t * S, 2.0) for t in (-5, 0, 1, 2, 9)] == [0, 0, 0.5, 1, 1]


def test_mixed_pictures_lie_between_the_two() -> None:
    black, grey = np.zeros((2, 3, 3), np.uint8), np.full((2, 3, 3), 200, np.uint8)
    assert mixed_pictures(black, grey, 0) is black
    assert mixed_pictures(black, grey, 1) is grey
    mixed = mixed_pictures(black, grey, 0.25)
    assert mixed.dtype == np.uint8
    assert (mixed == 50).all()


def test_mixed_sounds_have_the_power_of_both(tiny_bundle: Bundle) -> None:
    spec = tiny_bundle.manifest.sound
    random = np.random.default_rng(1)
    first, second = random.uniform(0.1, 0.9, (2, *spec.mel_shape)).astype(np.float32)
    assert mixed_mels(spec, first, second, 0) is first
    assert mixed_mels(spec, first, second, 1) is second
    mixed = spec.unscale(mixed_mels(spec, first, second, 0.5))
    expected = (spec.unscale(first) + spec.unscale(second)) / 2
    np.testing.assert_allclose(mixed, expected, rtol=1e-3)
