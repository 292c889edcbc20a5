"""Keeping samples inside [-1, 1], and beginning and ending without a click."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

KNEE = 0.8
"""Up to here samples pass unchanged."""
_ENDLESS = np.float32(1e6)
"""Bent to full scale like anything louder, and far from overflowing."""


def limit(samples: Array) -> Array:
    """Bend what is louder than `KNEE` towards, and never beyond, full scale.

    Args:
        samples: float32 (n,), any value; what is not finite becomes silence.

    Returns:
        float32 (n,) in [-1, 1], odd and monotonic in the input.
    """
    finite = np.where(np.isfinite(samples), samples, np.float32(0))
    loud = np.minimum(np.abs(finite), _ENDLESS)
    if loud.size == 0 or loud.max() <= KNEE:
        return finite
    bent = KNEE + (1 - KNEE) * np.tanh((loud - KNEE) / (1 - KNEE))
    return np.where(loud > KNEE, np.copysign(bent, finite), finite).astype(np.float32)


def fade_in(samples: Array) -> Array:
    """Raise float32 (n,) from silence to full level, along half a cosine."""
    turn = np.pi * (np.arange(samples.size, dtype=np.float32) + 0.5) / max(samples.size, 1)
    return samples * (0.5 - 0.5 * np.cos(turn)).astype(np.float32)


def fade_out(samples: Array) -> Array:
    """Lower float32 (n,) from full level to silence: `fade_in` backwards."""
    return fade_in(samples[::-1])[::-1]
