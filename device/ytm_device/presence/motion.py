"""What moves in the picture, by leaps and by breaths."""

from __future__ import annotations

import math

import numpy as np

from ytm_device.presence.past import Past
from ytm_device.presence.quiet import QuietLevel
from ytm_device.presence.structure import ROUNDING, Array, Mask, unexplained

MOVE_LAG_S = 0.2
"""A limb that moves is elsewhere after so long."""
STIR_LAG_S = 1.5
"""Chest and shoulders are elsewhere after so long, whoever stands still: about half a breath."""
_SMOOTH_S = 0.4
"""Over so long pictures are averaged before breaths are looked for: noise is larger than they."""


class Motion:
    """Compares each picture with those before it."""

    def __init__(self, first: Array, taken_ns: int, sensitivity: float) -> None:
        """Begin with edges, float32 (rows, columns)."""
        self.smoothed = first
        """Edges, averaged over the last moment: float32 (rows, columns); a new array each time."""
        self.quiet = np.zeros_like(first)
        """Change from picture to picture where nothing happens: (rows, columns), squared levels."""
        moves, stirs = Past(MOVE_LAG_S, first, taken_ns), Past(STIR_LAG_S, first, taken_ns)
        self._moves = _Change(moves, strength=12 / sensitivity, least_share=0.15)
        self._stirs = _Change(stirs, strength=10 / sensitivity, least_share=0.01)

    def see(self, grey: Array, edges: Array, taken_ns: int, elapsed_s: float) -> tuple[Mask, Mask]:
        """Take the next picture: its brightness and its edges, float32 (rows, columns).

        Returns:
            Where it moves, and where it moves or stirs; both (rows, columns).
        """
        newest = np.float32(-math.expm1(-elapsed_s / _SMOOTH_S))
        self.smoothed = self.smoothed + newest * (edges - self.smoothed)
        moves = self._moves.where(grey, edges, taken_ns, elapsed_s)
        stirs = self._stirs.where(grey, self.smoothed, taken_ns, elapsed_s)
        self.quiet = self._moves.quiet
        return moves, moves | stirs


class _Change:
    """Where pictures differ from those of a lag ago by more than the quietest quarter does."""

    def __init__(self, past: Past, strength: float, least_share: float) -> None:
        """Begin to compare.

        Args:
            past: gives what is compared with.
            strength: how many times the change where nothing happens counts.
            least_share: of the edges there; a flicker changes less of them.
        """
        self.quiet: Array = np.zeros((1, 1), np.float32)
        self._past = past
        self._level = QuietLevel()
        self._strength, self._least_share = strength, least_share

    def where(self, grey: Array, edges: Array, taken_ns: int, elapsed_s: float) -> Mask:
        change, present = unexplained(edges, self._past.recall(edges, taken_ns))
        self.quiet = self._level.follow(change, grey, elapsed_s)
        threshold = self._strength * (self.quiet + ROUNDING)
        mask: Mask = (change > threshold) & (change > self._least_share * present)
        return mask
