"""Simple means to answer one sense by the other, fitted on known material."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

from ytm_training.evaluation.folds import source_parts
from ytm_training.evaluation.rows import Indices, Names
from ytm_training.models.components import principal_components

Array = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]

_PENALTIES = tuple(10.0**exponent for exponent in range(-3, 4))
"""Ridge penalties tried, as multiples of the mean variance of a feature, for each row."""
_HELD_OUT_PARTS = 5


def ridge(known: Array, targets: Array, sources: Names, unseen: Array, seed: int = 0) -> Doubles:
    """Linear prediction of `targets` from features, as strongly regularised as serves best.

    Args:
        known: (n, f) features.
        targets: (n, t) of the same rows.
        sources: (n,) str; the penalty is chosen on a fifth of them, apart from the others.
        unseen: (m, f) features.
        seed: of that fifth.

    Returns:
        (m, t).
    """
    parts = source_parts(sources, _HELD_OUT_PARTS, seed)
    fit, check = np.flatnonzero(parts != 0), np.flatnonzero(parts == 0)
    penalty = _PENALTIES[len(_PENALTIES) // 2]
    if len(fit):
        trial = _Ridge(known[fit], targets[fit])
        errors = [
            float(((trial.predict(known[check], each) - targets[check]) ** 2).mean())
            for each in _PENALTIES
        ]
        penalty = _PENALTIES[int(np.argmin(errors))]
    return _Ridge(known, targets).predict(unseen, penalty)


class _Ridge:
    """Least squares with a penalty, by the eigenvectors of the features' covariance."""

    def __init__(self, features: Array, targets: Array) -> None:
        self._mean, self._target_mean = features.mean(0), targets.mean(0)
        deviation = features.std(0)
        self._scale = np.where(deviation > 1e-6, deviation, np.inf)
        x = ((features - self._mean) / self._scale).astype(np.float64)
        self._values, self._vectors = np.linalg.eigh(x.T @ x / len(x))
        self._projected = self._vectors.T @ (x.T @ (targets - self._target_mean)) / len(x)

    def predict(self, features: Array, penalty: float) -> Doubles:
        x = (features - self._mean) / self._scale
        weights = self._projected / (np.maximum(self._values, 0) + penalty)[:, None]
        predicted: Doubles = x @ self._vectors @ weights + self._target_mean
        return predicted


def components(known: Array, unseen: Array, count: int) -> tuple[Doubles, Doubles]:
    """Both as coefficients of the first `count` principal components of `known`, (n, f)."""
    mean, basis, _ = principal_components(torch.from_numpy(known).double(), count)
    axes = basis.numpy().T
    return (known - mean.numpy()) @ axes, (unseen - mean.numpy()) @ axes


def nearest(known: Array, unseen: Array) -> Indices:
    """For each row of `unseen`, (m, f), the nearest row of `known`, (n, f): (m,)."""
    squares = (known.astype(np.float64) ** 2).sum(1) - 2 * unseen.astype(np.float64) @ known.T
    return np.asarray(squares.argmin(1))
