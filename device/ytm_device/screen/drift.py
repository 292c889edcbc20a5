"""Moving the picture slowly, so that nothing burns into a screen that shows the same for months."""

from __future__ import annotations

import math

from ytm_device.screen.picture import Shift

ACROSS_S = 241
DOWN_S = 389
"""Seconds of one swing to and fro. Both prime: the path closes only after a day."""
_NS_PER_S = 1_000_000_000


def drift_at(now_ns: int, reach_px: int) -> Shift:
    """How far the picture is moved at a time: along a slow Lissajous figure.

    Args:
        now_ns: CLOCK_MONOTONIC, in nanoseconds.
        reach_px: the furthest to any side, >= 0.
    """
    return _swing(now_ns, ACROSS_S, reach_px), _swing(now_ns, DOWN_S, reach_px)


def _swing(now_ns: int, period_s: int, reach_px: int) -> int:
    period_ns = period_s * _NS_PER_S
    return round(reach_px * math.sin(math.tau * (now_ns % period_ns) / period_ns))
