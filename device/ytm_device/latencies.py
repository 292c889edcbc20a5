"""How long things took lately, for the status."""

from __future__ import annotations

from collections import deque

import numpy as np

_KEPT = 512
_NS_PER_MS = 1_000_000


class Latencies:
    """The newest few hundred durations of one stage."""

    def __init__(self) -> None:
        self._ns: deque[int] = deque(maxlen=_KEPT)

    def add(self, ns: int) -> None:
        """Count a duration, in nanoseconds."""
        self._ns.append(ns)

    def percentile_ms(self, percent: float) -> float | None:
        """The duration, in milliseconds, that `percent` of them do not exceed; None if none."""
        if not self._ns:
            return None
        return round(float(np.percentile(self._ns, percent)) / _NS_PER_MS, 2)
