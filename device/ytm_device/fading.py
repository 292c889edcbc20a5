"""How much of the mirror is on, and how two pictures or two sounds are mixed: functions of time.

The weight of the mirror follows from the newest reflection and the clock alone, so that screen and
sound fade together without a word between them.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.manifest import SoundSpec

Pixels = npt.NDArray[np.uint8]
Mel = npt.NDArray[np.float32]

STALE_AFTER_S = 2.0
"""So long after the frame of the newest reflection was taken, the mirror begins to fade."""
STEPS = 64
"""Weights are rounded to this many steps, so that what they mix can be kept for a while."""
_NS_PER_S = 1_000_000_000


def mirror_weight(
    presence: bool, since_ns: int, taken_ns: int, now_ns: int, fade_s: float
) -> float:
    """How much of the mirror is on, 0 to 1; the rest is the replay.

    Args:
        presence: somebody is there.
        since_ns: since when, or since when not, on CLOCK_MONOTONIC.
        taken_ns: when the newest frame that was answered was taken.
        now_ns: the time asked for.
        fade_s: how long a whole fade takes, >= 0.
    """
    changed = ramp(now_ns - since_ns, fade_s)
    gone = ramp(now_ns - taken_ns - round(STALE_AFTER_S * _NS_PER_S), fade_s)
    weight = min(changed if presence else 1 - changed, 1 - gone)
    return round(weight * STEPS) / STEPS


def since_for(weight: float, presence: bool, now_ns: int, fade_s: float) -> int:
    """Since when `presence` must be said to hold for a fade to go on from `weight` at `now_ns`."""
    done = weight if presence else 1 - weight
    return now_ns - round(done * fade_s * _NS_PER_S)


def ramp(elapsed_ns: int, length_s: float) -> float:
    """From 0 at the beginning to 1 after `length_s`, straight; 0 before, 1 after."""
    if length_s == 0:
        return float(elapsed_ns >= 0)
    return min(1.0, max(0.0, elapsed_ns / (length_s * _NS_PER_S)))


def mixed_pictures(first: Pixels, second: Pixels, weight: float) -> Pixels:
    """A picture between two of one shape, uint8; `weight` is that of the second."""
    if weight in (0, 1):
        return second if weight else first
    mixed = first + np.float32(weight) * (second.astype(np.float32) - first)
    return np.asarray(np.rint(mixed), np.uint8)


def mixed_mels(spec: SoundSpec, first: Mel, second: Mel, weight: float) -> Mel:
    """A sound between two, scaled as `spec` says; `weight` is that of the second.

    Powers are mixed, as those of two sounds that are heard at once: at half way both are 3 dB down.
    """
    if weight in (0, 1):
        return second if weight else first
    power = (1 - weight) * spec.unscale(first) + weight * spec.unscale(second)
    return spec.scale(power)
