"""How sure a figure is: the bootstrap over sources.

Segments of one video resemble each other, so that resampling segments would make every interval too
narrow. Efron & Tibshirani, "An Introduction to the Bootstrap", 1993: percentile intervals.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ytm_training.evaluation.figure import Estimate

Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

ENOUGH_SOURCES = 5
"""With fewer, segments are resampled instead, and the report says so."""
_REPEATS = 1000
_SLOW_REPEATS = 200
_PERCENTILES = (2.5, 97.5)


class Resampling:
    """Draws of the n rows with replacement, whole sources at a time."""

    def __init__(self, sources: npt.NDArray[np.object_], seed: int) -> None:
        """Resample rows of `sources`, (n,) str."""
        names, group = np.unique(sources.astype(str), return_inverse=True)
        self.unit = "sources" if len(names) >= ENOUGH_SOURCES else "segments"
        self.group: Indices = group if self.unit == "sources" else np.arange(len(sources))
        """(n,): to which of the g groups a row belongs."""
        self.counts: Doubles = np.bincount(self.group).astype(np.float64)
        """(g,): rows of each group."""
        count = len(self.counts)
        rng = np.random.default_rng(seed)
        self.weights: Doubles = rng.multinomial(count, np.full(count, 1 / count), _REPEATS).astype(
            np.float64
        )
        """(repeats, g): how often each group was drawn."""

    def sums(self, values: Doubles) -> Doubles:
        """Sum of `values`, (n,), in each group: (g,)."""
        return np.asarray(np.bincount(self.group, values, len(self.counts)), np.float64)

    def mean(self, values: npt.NDArray[np.floating]) -> Estimate:
        """Mean of (n,) values; rows that are not a number do not count."""
        valid = np.isfinite(values)
        return self.ratio(np.where(valid, values, 0), valid)

    def ratio(self, above: npt.NDArray[np.generic], below: npt.NDArray[np.generic]) -> Estimate:
        """Sum of (n,) values over the sum of others."""
        return self.of_groups(
            lambda weights: (
                (weights @ self.sums(above.astype(np.float64)))
                / (weights @ self.sums(below.astype(np.float64)))
            )
        )

    def of_groups(self, statistic: Callable[[Doubles], Doubles]) -> Estimate:
        """A statistic of group weights, (b, g) -> (b,)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            value = statistic(np.ones((1, len(self.counts))))[0]
            drawn = statistic(self.weights)
        return _estimate(float(value), drawn)

    def of_rows(self, statistic: Callable[[Indices], float]) -> Estimate:
        """A statistic of the rows drawn, indices -> number; slower."""
        order = np.argsort(self.group, kind="stable")
        starts = np.concatenate([[0], np.cumsum(self.counts)]).astype(np.int64)
        members = [order[a:b] for a, b in itertools.pairwise(starts)]
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what is constant in a draw has no correlation
            value = statistic(np.arange(len(self.group)))
            drawn = [
                statistic(np.concatenate([members[g] for g in np.repeat(np.arange(len(w)), w)]))
                for w in self.weights[:_SLOW_REPEATS].astype(np.int64)
            ]
        return _estimate(float(value), np.array(drawn))


def _estimate(value: float, drawn: Doubles) -> Estimate:
    drawn = drawn[np.isfinite(drawn)]
    if not len(drawn):
        return Estimate(value)
    low, high = np.percentile(drawn, _PERCENTILES)
    return Estimate(value, float(low), float(high))


def spread(values: Doubles) -> Estimate:
    """The mean of many trials, and the middle 95 % of them."""
    return _estimate(float(np.mean(values)), values)
