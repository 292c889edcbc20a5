from __future__ import annotations

import time

import numpy as np

from ytm_device.sound.sink import ClockedNullSink

RATE_HZ = 48000


def test_samples_are_taken_no_faster_than_a_card_would() -> None:
    with ClockedNullSink(RATE_HZ) as sink:
        period = np.zeros(sink.period, np.float32)
        periods = 10 + sink.buffer // sink.period
        started_s = time.monotonic()
        for _ in range(periods):
            sink.write(period)
        elapsed_s = time.monotonic() - started_s
    assert elapsed_s >= (periods * sink.period - sink.buffer) / RATE_HZ


def test_the_buffer_is_taken_at_once() -> None:
    """An hour's period fits the buffer, so no write waits for it to be heard."""
    with ClockedNullSink(rate_hz=1) as sink:
        for _ in range(sink.buffer // sink.period):
            sink.write(np.zeros(sink.period, np.float32))
        assert sink.underruns == 0


def test_running_dry_is_an_underrun_and_the_pace_begins_again() -> None:
    with ClockedNullSink(rate_hz=2560) as sink:
        period = np.zeros(sink.period, np.float32)
        sink.write(period)
        assert sink.underruns == 0
        time.sleep(1.5 * sink.period / sink.rate_hz)
        sink.write(period)
        assert sink.underruns == 1
        sink.write(period)
        assert sink.underruns == 1


def test_any_period_and_buffer_will_do() -> None:
    with ClockedNullSink(RATE_HZ, period=480, periods=3) as sink:
        assert (sink.period, sink.buffer) == (480, 1440)
        started_s = time.monotonic()
        for size in (480, 1, 1000, 4096):
            sink.write(np.zeros(size, np.float32))
        elapsed_s = time.monotonic() - started_s
    assert elapsed_s >= (480 + 1 + 1000 + 4096 - 1440) / RATE_HZ
