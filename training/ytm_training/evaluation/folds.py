"""What an answer is compared with is fitted on rows that it is not measured on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ytm_training.evaluation.rows import Indices, Names, Pool

_MOST = 5
"""Folds, if there are as many sources."""


@dataclass(frozen=True)
class Fold:
    """Rows of the pool to fit on, and rows measured to apply what was fitted to."""

    fit: Indices
    apply: Indices


@dataclass(frozen=True)
class Folds:
    """Every row that is measured is applied to exactly once."""

    folds: tuple[Fold, ...]
    unseen: Indices

    @classmethod
    def of(cls, pool: Pool, seed: int) -> Folds:
        """Fit on the known rows; if there are none, on the other sources of those measured."""
        if len(pool.known):
            return cls((Fold(pool.known, pool.unseen),), pool.unseen)
        parts = source_parts(pool.rows.sources[pool.unseen], _MOST, seed)
        folds = (
            Fold(pool.unseen[parts != part], pool.unseen[parts == part])
            for part in range(parts.max() + 1)
        )
        return cls(tuple(fold for fold in folds if len(fold.fit)), pool.unseen)

    @property
    def described(self) -> str:
        """How what is compared with was fitted, for the report."""
        if not self.folds:
            return "not at all: there is only one source"
        if len(self.folds) > 1:
            return f"{len(self.folds)}-fold cross-validation over the sources measured"
        return f"{len(self.folds[0].fit)} rows that it learned from"

    def predict(
        self, predict: Callable[[Indices, Indices], npt.NDArray[Any]]
    ) -> npt.NDArray[np.float32] | None:
        """Predictions for the rows measured, (n, ...); None if there is nothing to fit on.

        Args:
            predict: (rows to fit on, rows to apply to) -> a prediction for each of the latter.
        """
        made: npt.NDArray[np.float32] | None = None
        for fold in self.folds:
            part = predict(fold.fit, fold.apply)
            if made is None:
                made = np.empty((len(self.unseen), *part.shape[1:]), np.float32)
            made[np.searchsorted(self.unseen, fold.apply)] = part
        return made


def source_parts(sources: Names, count: int, seed: int) -> Indices:
    """Divide rows into at most `count` parts by source, at random: (n,) part of each row."""
    names, group = np.unique(sources.astype(str), return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(names))
    return np.asarray(place[group] % min(count, len(names)))
