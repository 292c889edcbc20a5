"""Undoing the mel filter bank: pseudo-inverse, then multiplicative updates."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import MelMatrices

Array = npt.NDArray[np.float32]

_LEAST_SHARE = np.float32(1e-9)
"""Of the strongest bin: where the pseudo-inverse fell below 0, so that an update can raise it."""
_TINY = np.float32(1e-20)


class LinearSpectrum:
    """Finds the spectrum of one mel frame.

    The pseudo-inverse alone comes within a few per cent; below 0, where no power is, it is cut.
    Multiplicative updates then lower the squared error and stay positive (Lee and Seung,
    "Algorithms for non-negative matrix factorization", NIPS 2000).
    """

    def __init__(self, matrices: MelMatrices, updates: int) -> None:
        """Prepare for frames of the filter bank in `matrices`."""
        self._forward: Array = np.ascontiguousarray(matrices.forward)
        self._inverse: Array = np.ascontiguousarray(matrices.inverse)
        self._backward: Array = np.ascontiguousarray(matrices.forward.T)
        self._updates = updates

    def magnitude(self, power: Array) -> Array:
        """Mel power, float32 (n_mels,), >= 0 -> linear magnitude, float32 (bins,), >= 0."""
        # A column of a mel is strided, which matrix products are slow on.
        power = np.ascontiguousarray(power)
        linear: Array = np.maximum(self._inverse @ power, 0)
        if self._updates:
            linear = np.maximum(linear, _LEAST_SHARE * np.max(linear))
            wanted = self._backward @ power
        for _ in range(self._updates):
            linear *= wanted / np.maximum(self._backward @ (self._forward @ linear), _TINY)
        return np.sqrt(linear, out=linear)
