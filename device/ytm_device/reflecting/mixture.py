"""A picture bent by a sound, or a sound by a picture: arithmetic on latents."""

from __future__ import annotations

import numpy as np

from ytm_device.engines.engine import Tensor


def bent(own: Tensor, other: Tensor, weight: float) -> Tensor:
    """What lies between two latents of one sense.

    Args:
        own: float32 (n, d), of what was seen (or heard).
        other: float32 (n, d), of the same sense, associated with what was heard (or seen).
        weight: 0: `own` alone, to 1: `other` alone.
    """
    return np.asarray((1 - weight) * own + weight * other, np.float32)
