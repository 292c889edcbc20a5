"""How late and how often the mirror answers."""

from __future__ import annotations

from collections import deque

from ytm_device.latency import LatencyHistogram
from ytm_device.status import Value

RECENT_S = 5.0
"""The rate is that of the last so many seconds in which there were answers."""
MAX_RECENT = 1024
_NS_PER_S = 1_000_000_000


class ReflectStatistics:
    """What `ytm-reflect` says of itself: only counts and times."""

    def __init__(self) -> None:
        self._latency = LatencyHistogram()
        self._recent: deque[int] = deque(maxlen=MAX_RECENT)
        self._reflections = 0
        self._frames = 0

    def add(self, sequence: int, taken_ns: int, published_ns: int) -> None:
        """Count the reflection of frame `sequence`, taken and answered at these times."""
        self._recent.append(published_ns)
        while published_ns - self._recent[0] > RECENT_S * _NS_PER_S:
            self._recent.popleft()
        self._reflections += 1
        self._frames = sequence + 1
        self._latency.add(published_ns - taken_ns)

    def fields(self) -> dict[str, Value]:
        """The figures, for the status and the summary; None where nothing was measured."""
        return {
            "frames": self._frames,
            "reflections": self._reflections,
            "dropped": self._frames - self._reflections,
            "reflections_per_s": self._rate_hz(),
            "latency_p50_ms": self._latency.percentile_ms(50),
            "latency_p95_ms": self._latency.percentile_ms(95),
            "latency_p99_ms": self._latency.percentile_ms(99),
        }

    def _rate_hz(self) -> float | None:
        if len(self._recent) < 2:
            return None
        span_s = (self._recent[-1] - self._recent[0]) / _NS_PER_S
        return round((len(self._recent) - 1) / span_s, 2) if span_s > 0 else None
