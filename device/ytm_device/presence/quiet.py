"""How much a picture changes where nothing happens: noise, flicker and the marks of compression.

A camera's noise depends on brightness, most of all after its gamma: what is dark is noisier.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_device.presence.structure import Array

SHADES = 8
_SHADE_LEVELS = 256 // SHADES
_LEAST_PIXELS = 12
"""Fewer of a shade say nothing about it."""
_DOWN_S, _UP_S = 0.5, 20.0
_EVERY = 2
"""Only every second pixel of every second row is counted: neighbours say the same."""


class QuietLevel:
    """The change in the quietest quarter of every shade, followed down quickly and up slowly.

    So a visitor who fills the picture for a while does not pass for noise. At the beginning, where
    nothing is known, it is followed up quickly too.
    """

    def __init__(self) -> None:
        """Begin without a guess."""
        self._levels: Array = np.zeros(SHADES, np.float32)
        self._age_s = 0.0

    def follow(self, change: Array, grey: Array, elapsed_s: float) -> Array:
        """Take the changes of one more picture.

        Args:
            change: float32 (rows, columns), squared levels, >= 0.
            grey: float32 (rows, columns) in [0, 255], the brightness there.
            elapsed_s: since the picture before, > 0.

        Returns:
            The quiet level at every pixel, float32 (rows, columns), in squared levels.
        """
        shades = np.minimum(grey / _SHADE_LEVELS, SHADES - 1).astype(np.intp)
        quarters = _quarters(change[::_EVERY, ::_EVERY].ravel(), shades[::_EVERY, ::_EVERY].ravel())
        # A picture that came twice says nothing.
        if quarters.any():
            up_s = min(_UP_S, self._age_s)
            times_s = np.where(quarters < self._levels, min(_DOWN_S, up_s), up_s)
            shares = -np.expm1(-elapsed_s / np.maximum(times_s, elapsed_s))
            if not self._age_s:
                shares[:] = 1
            self._levels += np.float32(shares) * (quarters - self._levels)
            self._age_s += elapsed_s
        return np.asarray(self._levels[shades], np.float32)


def _quarters(change: Array, shades: npt.NDArray[np.intp]) -> Array:
    """The lower quartile of every shade's changes, float32 (SHADES,).

    A shade that is rare is given what lies between its neighbours.
    """
    counts = np.bincount(shades, minlength=SHADES)
    # One sort for all shades: each change is squeezed into [0, 1) and lifted by its shade.
    squeezed = np.sort(shades + change / (change + 1))
    at = np.minimum(np.cumsum(counts) - counts + counts // 4, change.size - 1)
    common = np.flatnonzero(counts >= min(_LEAST_PIXELS, int(counts.max())))
    found = squeezed[at[common]] - common
    found = found / (1 - found)
    return np.asarray(np.interp(np.arange(SHADES), common, found), np.float32)
