"""The room without anybody in it, and what is in it now that was not."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.presence.structure import ROUNDING, Array, Mask, unexplained

ABSORB_S = 25.0
"""What stands in the room for so long without any sign of life belongs to it."""
_LEARN_S = 8.0
"""The room itself is followed so slowly: daylight moves no faster."""
_LEARN_BESIDE_S = 90.0
"""The same while something is in it: what of a visitor looks like the room must not become it."""
_LEAST_LIFE = 0.002
"""Share of the picture that must move or stir in one thing for it to live."""
_SIGN_WEIGHS = 8
"""A moment of life outweighs so many without: who breathes does not stir all the time, and noise
stirs now and then."""
_LEAST_CHANGE = 0.25
"""Share of the edges that must be others: a light that is switched changes less of them."""
_STRENGTH = 12.0
"""How many times the change where nothing happens counts."""
_OPEN = np.ones((3, 3), np.uint8)
_GROW = np.ones((5, 5), np.uint8)


@dataclass(frozen=True)
class Things:
    """What is in the room, in one picture; each thing is one connected piece of it."""

    labels: npt.NDArray[np.int32]
    """(rows, columns): 0 for the room, then the number of the thing."""
    areas: npt.NDArray[np.float64]
    """(things + 1,), shares of the picture; the first is 0."""

    def areas_within(self, mask: Mask) -> npt.NDArray[np.float64]:
        """How much of each thing lies in `mask`: (things + 1,), shares of the picture."""
        counts = np.bincount(self.labels[mask], minlength=self.areas.size).astype(np.float64)
        counts[0] = 0
        return counts / self.labels.size


class Room:
    """Learns what always is there."""

    def __init__(self, edges: Array, sensitivity: float) -> None:
        """Take the first picture for the room: edges, float32 (rows, columns)."""
        self._edges = edges.copy()
        self._lifeless_s = np.zeros_like(edges)
        self._strength = _STRENGTH / sensitivity

    def things(self, edges: Array, quiet: Array) -> Things:
        """What is there that does not belong to the room."""
        change, present = unexplained(edges, self._edges)
        threshold = self._strength * (quiet + ROUNDING)
        strange = (change > threshold) & (change > _LEAST_CHANGE * present)
        opened = cv2.morphologyEx(strange.astype(np.uint8), cv2.MORPH_OPEN, _OPEN)
        grown = cv2.dilate(opened, _GROW)
        _, labels, statistics, _ = cv2.connectedComponentsWithStats(grown, connectivity=8)
        areas = statistics[:, cv2.CC_STAT_AREA] / labels.size
        areas[0] = 0
        return Things(np.asarray(labels, np.int32), areas)

    def learn(self, smoothed: Array, things: Things, alive: Mask, elapsed_s: float) -> None:
        """Follow the room where there is no thing, and take in what shows no life for long.

        Args:
            smoothed: edges, averaged over a moment, float32 (rows, columns).
            things: what is in the room.
            alive: (rows, columns), where something moves or stirs.
            elapsed_s: since the picture before.
        """
        living = things.areas_within(alive) >= _LEAST_LIFE
        free = things.labels == 0
        waiting = self._lifeless_s
        lifeless = ~(free | living[things.labels])
        waiting += np.where(lifeless, np.float32(elapsed_s), np.float32(-_SIGN_WEIGHS * elapsed_s))
        np.maximum(waiting, 0, out=waiting)
        learn_s = _LEARN_BESIDE_S if things.areas.any() else _LEARN_S
        rates = np.where(free, np.float32(-math.expm1(-elapsed_s / learn_s)), np.float32(0))
        rates[waiting > ABSORB_S] = 1
        waiting[waiting > ABSORB_S] = 0
        self._edges += rates * (smoothed - self._edges)
