"""Noticing that the picture is suddenly another: somebody moves."""

from __future__ import annotations

from collections import deque

import numpy as np
import numpy.typing as npt

Latent = npt.NDArray[np.float32]

LAG_S = 0.25
"""A change within so long is sudden."""
REST_S = 0.5
"""So long after a change nothing counts as one: a movement is one change, a dance is two a
second."""
MAX_KEPT = 64
_NS_PER_S = 1_000_000_000


class Movement:
    """Compares each latent with those of the last `LAG_S`."""

    def __init__(self, sudden_change: float | None) -> None:
        """Begin with no picture.

        Args:
            sudden_change: the manifest's; None: no change is one.
        """
        self._sudden_change = sudden_change
        self._recent: deque[tuple[int, Latent]] = deque(maxlen=MAX_KEPT)
        self._moved_ns = 0

    def moved_ns(self, latent: Latent, taken_ns: int) -> int:
        """When the picture last changed suddenly.

        Args:
            latent: float32 (d,), of the newest picture; kept.
            taken_ns: when that was taken, later than the one before.

        Returns:
            `taken_ns` of the first picture after the change; 0 if there was none.
        """
        # One stays, however slow the camera is.
        while len(self._recent) > 1 and taken_ns - self._recent[0][0] > LAG_S * _NS_PER_S:
            self._recent.popleft()
        if self._changed(latent) and taken_ns - self._moved_ns > REST_S * _NS_PER_S:
            self._moved_ns = taken_ns
        self._recent.append((taken_ns, latent))
        return self._moved_ns

    def _changed(self, latent: Latent) -> bool:
        if self._sudden_change is None or not self._recent:
            return False
        before = self._recent[0][1]
        return bool(np.linalg.norm(latent - before) > self._sudden_change)
