"""Principal components: the best linear code there is."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor

_NOTHING = 1e-6
"""A component with less than this share of the strongest one's variance is rounding."""


class Components(NamedTuple):
    """What n samples (n, v) vary in."""

    mean: Tensor
    """(v,)."""
    basis: Tensor
    """(k, v), orthonormal, the strongest first."""
    deviation: Tensor
    """(k,): of the samples along each."""


def principal_components(samples: Tensor, count: int) -> Components:
    """The first `count` principal components of samples (n, v); fewer if there are not so many.

    By the eigenvectors of whichever is smaller, covariance or Gram matrix, in float64: a full
    decomposition of thousands of pictures takes minutes.
    """
    mean = samples.mean(0)
    centred = (samples - mean).double()
    few = len(centred) < centred.shape[1]
    values, vectors = torch.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    kept = min(count, len(samples) - 1, int((values > _NOTHING * values[-1]).sum()))
    strongest = values.flip(0)[:kept].sqrt()
    vectors = vectors.flip(1)[:, :kept]
    if few:
        vectors = centred.T @ vectors / strongest
    deviation = strongest / math.sqrt(max(1, len(samples) - 1))
    return Components(mean, vectors.T.to(samples), deviation.to(samples))
