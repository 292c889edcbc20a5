from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ytm_bundle.manifest import ImageSpec
from ytm_device.screen.drift import ACROSS_S, DOWN_S, drift_at
from ytm_device.screen.picture import Enlarger

S = 1_000_000_000
MINUTE_S = 60


@given(now_ns=st.integers(0, 2**62), reach_px=st.integers(0, 32))
def test_the_picture_stays_within_reach(now_ns: int, reach_px: int) -> None:
    assert all(abs(shift) <= reach_px for shift in drift_at(now_ns, reach_px))


@given(now_ns=st.integers(0, 2**62), reach_px=st.integers(0, 32))
def test_it_depends_on_the_time_alone(now_ns: int, reach_px: int) -> None:
    round_ns = ACROSS_S * DOWN_S * S
    assert drift_at(now_ns, reach_px) == drift_at(now_ns + round_ns, reach_px)


@given(now_ns=st.integers(0, 2**62), reach_px=st.integers(0, 32))
def test_nobody_sees_it_move(now_ns: int, reach_px: int) -> None:
    """One pixel a second at most, even at the furthest reach."""
    before, after = drift_at(now_ns, reach_px), drift_at(now_ns + S, reach_px)
    assert all(abs(a - b) <= 1 for a, b in zip(before, after, strict=True))


def test_every_place_in_reach_has_its_turn() -> None:
    places = {drift_at(second * S, 4) for second in range(24 * 60 * MINUTE_S)}
    assert places == {(across, down) for across in range(-4, 5) for down in range(-4, 5)}


def test_no_reach_is_no_movement() -> None:
    assert {drift_at(second * S, 0) for second in range(1000)} == {(0, 0)}


@given(now_ns=st.integers(0, 2**62), reach_px=st.integers(0, 32))
def test_no_border_shows_at_any_time(now_ns: int, reach_px: int) -> None:
    enlarger = Enlarger(ImageSpec(width=16, height=16, fit="squeeze"), 90, 160, 90, reach_px)
    out = np.zeros((160, 90, 3), np.uint8)
    enlarger.render_into(np.full((16, 16, 3), 200, np.uint8), out, drift_at(now_ns, reach_px))
    assert np.all(out == 200)
