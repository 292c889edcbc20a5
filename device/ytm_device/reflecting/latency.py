"""How late and how often the mirror answers, kept in bounded memory for months."""

from __future__ import annotations

import math

import numpy as np

from ytm_device.status import Value

BIN_MS = 0.1
BINS = 20_000
"""Two seconds in all; what took longer is counted in the last one."""


class LatencyHistogram:
    """Counts durations in bins of `BIN_MS`, so that any percentile is known within one bin."""

    def __init__(self) -> None:
        self._counts = np.zeros(BINS, np.int64)
        self._longest_ms = 0.0

    def add(self, duration_ns: int) -> None:
        """Count one duration, in nanoseconds, >= 0."""
        duration_ms = duration_ns / 1e6
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


class ReflectStatistics:
    """What `ytm-reflect` says of itself: only counts and times."""

    def __init__(self) -> None:
        self._latency = LatencyHistogram()
        self._first_ns = self._last_ns = 0
        self._reflections = 0
        self._frames = 0

    def add(self, sequence: int, taken_ns: int, published_ns: int) -> None:
        """Count the reflection of frame `sequence`, taken and answered at these times."""
        if self._reflections == 0:
            self._first_ns = published_ns
        self._last_ns = published_ns
        self._reflections += 1
        self._frames = sequence + 1
        self._latency.add(max(0, published_ns - taken_ns))

    def fields(self) -> dict[str, Value]:
        """The figures, for the status and the summary; None where nothing was measured."""
        span_s = (self._last_ns - self._first_ns) / 1e9
        rate_hz = round((self._reflections - 1) / span_s, 2) if span_s > 0 else None
        return {
            "frames": self._frames,
            "reflections": self._reflections,
            "dropped": self._frames - self._reflections,
            "reflections_per_s": rate_hz,
            "latency_p50_ms": self._latency.percentile_ms(50),
            "latency_p95_ms": self._latency.percentile_ms(95),
            "latency_p99_ms": self._latency.percentile_ms(99),
        }
