"""Turning one reflection into the next at the display's rate, so that few a second look smooth."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_device.fading import mixed_pictures, ramp
from ytm_device.replay import Answer

Pixels = npt.NDArray[np.uint8]

TURN_S = 1 / 60
"""A turn of the display. A change is so far on when it is first shown: it begins at once."""
SHORTEST_S = 0.020
LONGEST_S = 0.120
"""A change takes as long as reflections are apart, within these bounds."""
_NEWEST_SHARE = 0.25
"""How much the newest interval counts in the running average of them."""
_NS_PER_S = 1_000_000_000


class Blend:
    """Between the picture that was shown when a reflection arrived, and that reflection.

    A sudden change, which strikes the sound too, takes the shortest time.
    """

    def __init__(self) -> None:
        self._newest: Answer | None = None
        self._before: Pixels | None = None
        self._began_ns = 0
        self._interval_s = self._length_s = SHORTEST_S

    def at(self, now_ns: int, newest: Answer) -> Pixels:
        """The picture to show: uint8 (h, w, 3), RGB, not flipped; not to be written to.

        Args:
            now_ns: CLOCK_MONOTONIC, in nanoseconds, never before an earlier call's.
            newest: the newest reflection; the same object until another one arrives.
        """
        if newest is not self._newest:
            self._begin(now_ns, newest)
        if self._before is None:
            return newest.image
        return mixed_pictures(self._before, newest.image, self.share(now_ns))

    def share(self, now_ns: int) -> float:
        """How much of the picture is the newest reflection, 0 to 1."""
        return ramp(now_ns - self._began_ns, self._length_s)

    def forget(self) -> None:
        """Nothing is shown any more: the next reflection is not blended with the last."""
        self._newest = self._before = None

    def _begin(self, now_ns: int, newest: Answer) -> None:
        if self._newest is not None:
            self._before = self.at(now_ns, self._newest)
            apart_s = (newest.taken_ns - self._newest.taken_ns) / _NS_PER_S
            bounded_s = min(max(apart_s, SHORTEST_S), LONGEST_S)
            self._interval_s += _NEWEST_SHARE * (bounded_s - self._interval_s)
        sudden = newest.moved_ns == newest.taken_ns
        self._length_s = SHORTEST_S if sudden else self._interval_s
        self._began_ns = now_ns - round(TURN_S * _NS_PER_S)
        self._newest = newest
