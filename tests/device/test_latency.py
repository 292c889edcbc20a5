from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ytm_device.latency import BIN_MS, BINS, LatencyHistogram


@given(st.lists(st.integers(0, 2 * 10**9 - 1), min_size=1, max_size=200), st.floats(0.5, 100))
def test_percentiles_are_right_within_a_bin(durations_ns: list[int], percent: float) -> None:
    histogram = LatencyHistogram()
    for duration_ns in durations_ns:
        histogram.add(duration_ns)
    exact_ms = np.percentile(durations_ns, percent, method="inverted_cdf") / 1e6
    assert exact_ms - 1e-2 <= histogram.percentile_ms(percent) <= exact_ms + BIN_MS + 1e-2


def test_what_took_too_long_for_the_bins_is_told_as_it_is() -> None:
    histogram = LatencyHistogram()
    histogram.add(int(3 * BINS * BIN_MS * 1e6))
    assert histogram.percentile_ms(99) == pytest.approx(3 * BINS * BIN_MS)


def test_what_ended_before_it_began_took_no_time() -> None:
    histogram = LatencyHistogram()
    histogram.add(-(10**12))
    assert histogram.percentile_ms(50) == 0


def test_nothing_measured_is_no_figure() -> None:
    assert LatencyHistogram().percentile_ms(50) is None
