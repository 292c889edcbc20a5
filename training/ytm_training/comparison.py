"""How near pictures and sounds are to others, and what simple codes would make of them."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.functional.image import structural_similarity_index_measure

from ytm_training.models.components import principal_components

_RIDGE = 1e-3


def psnr_db(answer: Tensor, truth: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of each of n tensors with values in [0, 1]: (n,), dB."""
    error = ((answer - truth) ** 2).flatten(1).mean(1).clamp_min(1e-10)
    return -10 * torch.log10(error)


def ssim(answer: Tensor, truth: Tensor) -> Tensor:
    """Structural similarity of pictures (n, 3, h, w) in [0, 1]: (n,) (Wang et al. 2004)."""
    value = structural_similarity_index_measure(answer, truth, data_range=1.0, reduction="none")
    assert isinstance(value, Tensor)  # a pair only when the contrast is asked for
    return value.reshape(-1)  # without its axis where n is 1


def predict_from_mean_colour(train: Tensor, test: Tensor) -> Tensor:
    """The best linear map from a picture's mean colour to the picture: learned, then applied.

    Args:
        train: (n, 3, h, w).
        test: (m, 3, h, w).

    Returns:
        (m, 3, h, w), clipped to [0, 1].
    """

    def features(pictures: Tensor) -> Tensor:
        return torch.cat([pictures.mean((2, 3)), torch.ones(len(pictures), 1)], 1)  # (n, 4)

    known = features(train)
    gram = known.T @ known + _RIDGE * torch.eye(known.shape[1])
    weights = torch.linalg.solve(gram, known.T @ train.flatten(1))
    predicted: Tensor = features(test) @ weights
    return predicted.view_as(test).clamp(0, 1)


def predict_from_components(train: Tensor, test: Tensor, count: int) -> Tensor:
    """Reconstruction of `test` from the first `count` principal components of `train`."""
    mean, basis, _ = principal_components(train.flatten(1), count)
    coded: Tensor = (test.flatten(1) - mean) @ basis.T @ basis + mean
    return coded.view_as(test).clamp(0, 1)


def decibels_off(answer: Tensor, truth: Tensor, range_db: float) -> float:
    """Root mean square distance of scaled mels, in dB."""
    return float(((answer - truth) ** 2).mean().sqrt()) * range_db
