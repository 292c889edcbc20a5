"""Where samples go: something that takes them at its own pace and so sets the pace of the sound."""

from __future__ import annotations

import time
from abc import abstractmethod

import numpy as np
import numpy.typing as npt

from ytm_device.owner import Owner

Array = npt.NDArray[np.float32]

PERIOD = 256
"""Samples asked for in one write: 5.3 ms at 48 kHz."""
PERIODS = 4
"""Periods in the buffer asked for; what is written is heard at most so much later."""
_NS_PER_S = 1_000_000_000


class Sink(Owner):
    """Takes samples, a period at a time; one thread writes."""

    name: str
    rate_hz: int
    channels: int
    period: int
    """Samples in a write."""
    buffer: int
    """Samples that it holds before they are heard."""
    guard: int = 0
    """Samples behind them that are heard only if this process is stopped."""
    underruns: int
    """How often it ran dry since it was opened."""
    bridged: int = 0
    """How often the guard kept it from running dry."""
    changes: int = 0
    """How often another device took over; what is written next follows on silence."""
    losses: int = 0
    """How often its device vanished."""
    problem: str | None = None
    """Why nobody hears what is written, where that is not as it should be."""

    @abstractmethod
    def write(self, samples: Array) -> None:
        """Take float32 (period,) in [-1, 1]; waits until there is room for them.

        After an underrun, which is counted, they are faded in.

        Raises:
            CardGoneError: its device is gone or broken, and these samples may not be heard.
        """

    @abstractmethod
    def close(self) -> None:
        """Let what was written be heard, then release the device."""


class ClockedNullSink(Sink):
    """A `Sink` that nobody hears, as fast as a sound card: for machines that have none."""

    def __init__(self, rate_hz: int, period: int = PERIOD, periods: int = PERIODS) -> None:
        """Accept `rate_hz` samples a second by CLOCK_MONOTONIC, `period` at a time or otherwise."""
        self.name = "none (clock)"
        self.rate_hz, self.channels = rate_hz, 1
        self.period, self.buffer = period, period * periods
        self.underruns = 0
        self._started_ns: int | None = None
        self._written = 0

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        now_ns = time.monotonic_ns()
        if self._started_ns is None:
            self._start(now_ns)
        elif now_ns > self._heard_by_ns(self._written):
            self.underruns += 1
            self._start(now_ns)
        self._written += samples.size
        wait_ns = self._heard_by_ns(self._written - self.buffer) - now_ns
        if wait_ns > 0:
            time.sleep(wait_ns / _NS_PER_S)

    def close(self) -> None:
        """See `Sink.close`."""

    def _start(self, now_ns: int) -> None:
        self._started_ns, self._written = now_ns, 0

    def _heard_by_ns(self, samples: int) -> int:
        """When the first `samples` samples since the start have been heard."""
        assert self._started_ns is not None
        return self._started_ns + samples * _NS_PER_S // self.rate_hz
