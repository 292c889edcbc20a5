"""How long something took, over a whole run, kept in bounded memory for months."""

from __future__ import annotations

import math

import numpy as np

BIN_MS = 0.1
BINS = 20_000
"""Two seconds in all; what took longer is counted in the last one."""


class LatencyHistogram:
    """Counts durations in bins of `BIN_MS`, so that any percentile is known within one bin."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._longest_ms = 0.0

    def add(self, duration_ns: int) -> None:
        """Count one duration, in nanoseconds; below 0, where a clock disagrees, it counts as 0."""
        duration_ms = max(0, duration_ns) / 1e6
        self._counts[min(int(duration_ms / BIN_MS), BINS - 1)] += 1
        self._longest_ms = max(self._longest_ms, duration_ms)

    def percentile_ms(self, percent: float) -> float | None:
        """The duration that `percent` of all did not exceed, rounded up to a bin; None if empty."""
        total = int(self._counts.sum())
        if total == 0:
            return None
        rank = max(1, math.ceil(total * percent / 100))
        index = int(np.searchsorted(np.cumsum(self._counts), rank))
        if index == BINS - 1:
            return round(self._longest_ms, 3)
        return round(min((index + 1) * BIN_MS, self._longest_ms), 3)
