"""Whether an answer is as rough as the truth, wherever its roughness lies.

Squared error alone is least for a blur: what cannot be foretold is averaged away. Here the local
energy of differences between neighbours is compared instead of the differences themselves, at
several scales, after the texture statistics of Portilla & Simoncelli (2000).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SCALES = 2
_WINDOW, _STEP = 5, 2
_FAINTEST = 1e-4
"""Added to every energy, in squared units of the input: fainter texture does not count."""


def texture_distance(answer: Tensor, truth: Tensor) -> Tensor:
    """Mean distance of local roughness, over `SCALES` scales and both directions: a scalar.

    Args:
        answer: (n, c, h, w) with values about [0, 1]; h and w at least 20.
        truth: of the same shape.
    """
    distance = answer.new_zeros(())
    for _ in range(SCALES):
        for axis in (2, 3):
            distance = distance + (_roughness(answer, axis) - _roughness(truth, axis)).abs().mean()
        answer, truth = (functional.avg_pool2d(x, 2) for x in (answer, truth))
    return distance


def _roughness(x: Tensor, axis: int) -> Tensor:
    """Root of the local mean of squared differences along `axis`: (n, c, h', w')."""
    energy = functional.avg_pool2d(torch.diff(x, dim=axis) ** 2, _WINDOW, _STEP)
    return (energy + _FAINTEST).sqrt()
