"""How long a bundle's graphs may take; whether they are let in, test_bundles.py tells."""

from __future__ import annotations

import signal

import pytest

from ytm_device import graph_check


@pytest.mark.parametrize(("opened_s", "allowed_s"), [(0.3, 10), (1.0, 10), (6.0, 60)])
def test_a_slow_processor_may_take_longer_for_the_graphs(
    monkeypatch: pytest.MonkeyPatch, opened_s: float, allowed_s: float
) -> None:
    monkeypatch.setattr(graph_check.time, "process_time", lambda: opened_s)
    try:
        graph_check._bound_graphs(10)
        assert signal.getitimer(signal.ITIMER_PROF)[0] == pytest.approx(allowed_s, rel=0.05)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
