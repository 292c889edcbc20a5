"""How loud the sound is: what was set, and a gain that goes there without a click."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import time

import numpy as np
import numpy.typing as npt

from ytm_device.wall_clock import Hours

Array = npt.NDArray[np.float32]

SILENCE_DB = -60.0
"""Of volume: this and everything below it is silence."""
GLIDE_S = 0.05
"""Seconds in which a gain reaches its target."""


@dataclass(frozen=True)
class Volume:
    """Ranges are those of `SoundSettings`, which checks them."""

    master_db: float = 0.0
    """dB."""
    night_db: float = -12.0
    """dB, at most 0: added to `master_db` at night."""
    night: Hours | None = None
    """When it is night; None for never."""

    def decibels(self, now: time, clock_is_set: bool) -> float:
        """The volume in dB at `now`, local time: by day while the clock is not known to be set.

        -inf for silence.
        """
        at_night = clock_is_set and self.night is not None and self.night.holds(now)
        decibels = self.master_db + self.night_db if at_night else self.master_db
        return decibels if decibels > SILENCE_DB else -math.inf


class Gain:
    """Follows `target_db` along straight lines in amplitude, each `GLIDE_S` long or a little less.

    It begins in silence.
    """

    def __init__(self, chunk: int, rate_hz: int) -> None:
        """Prepare for chunks of `chunk` samples at `rate_hz`."""
        self.target_db = 0.0
        """Where to go, in dB; -inf is silence. Any thread may set it."""
        self._glide = max(1, int(GLIDE_S * rate_hz))
        self._count = np.arange(1, chunk + 1, dtype=np.float32)
        self._gains: Array = np.zeros(chunk, np.float32)
        self.restart()

    def restart(self) -> None:
        """Go to silence at once, so that the next chunks fade in."""
        self._current = self._goal = 0.0
        self._left = 0

    def apply(self, samples: Array) -> None:
        """Multiply float32 (chunk,), finite, in place."""
        goal = _linear(self.target_db)
        if goal != self._goal:
            self._goal, self._left = goal, self._glide
        if self._left:
            self._move()
            np.multiply(samples, self._gains, out=samples)
        elif goal != 1:
            np.multiply(samples, np.float32(goal), out=samples)

    def _move(self) -> None:
        """Fill `_gains` with the next piece of the line."""
        moving = min(self._left, self._gains.size)
        slope = (self._goal - self._current) / self._left
        line = self._gains[:moving]
        np.multiply(self._count[:moving], np.float32(slope), out=line)
        np.add(line, np.float32(self._current), out=line)
        self._gains[moving:] = self._goal
        self._left -= moving
        self._current = self._current + slope * moving if self._left else self._goal


def _linear(decibels: float) -> float:
    return float(10 ** (decibels / 20))
