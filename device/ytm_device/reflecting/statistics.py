"""How late and how often the mirror answers."""

from __future__ import annotations

from ytm_device.latency import LatencyHistogram
from ytm_device.status import Value


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
        self._latency.add(published_ns - taken_ns)

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
