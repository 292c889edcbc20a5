"""Comparing ways of doing one thing, turn by turn in one process, as ratios."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from time import process_time
from typing import Any

Way = Callable[[], float | None]
"""Does the thing once; may return the CPU seconds that count, if not all of them do."""


def cpu_s_in_turn(
    benchmark: Any, ways: dict[str, Way], rounds: int, warmup_rounds: int = 1
) -> dict[str, list[float]]:
    """CPU seconds of each way in each round.

    In a round every way has its turn, so that other work on the machine falls on all of them.
    """
    spent_s: dict[str, list[float]] = {name: [] for name in ways}

    def turn() -> None:
        for name, way in ways.items():
            started_s = process_time()
            counted_s = way()
            spent_s[name].append(process_time() - started_s if counted_s is None else counted_s)

    benchmark.pedantic(turn, rounds=rounds, warmup_rounds=warmup_rounds)
    return {name: times_s[warmup_rounds:] for name, times_s in spent_s.items()}


def ratio(over: list[float], under: list[float]) -> float:
    """Median over the rounds of how much longer `over` took than `under`."""
    return statistics.median(a / b for a, b in zip(over, under, strict=True))
