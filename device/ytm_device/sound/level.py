"""Ramps with which a sound begins and ends without a click."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


def rising(length: int) -> Array:
    """float32 (length,): from silence to full level along half a cosine."""
    turn = np.pi * (np.arange(length, dtype=np.float32) + 0.5) / max(length, 1)
    return (0.5 - 0.5 * np.cos(turn)).astype(np.float32)


def falling(length: int) -> Array:
    """float32 (length,): `rising` backwards."""
    return rising(length)[::-1]
