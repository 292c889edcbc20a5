"""Arrays of the dataset as tensors of the networks, and back."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor


def pictures_to_tensor(pictures: npt.NDArray[np.uint8]) -> Tensor:
    """Uint8 (n, h, w, 3) -> float32 (n, 3, h, w) in [0, 1]."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 255


def tensor_to_pictures(pictures: Tensor) -> npt.NDArray[np.uint8]:
    """Float32 (n, 3, h, w) -> uint8 (n, h, w, 3); values outside [0, 1] are clipped."""
    scaled = (pictures.clamp(0, 1) * 255).round().byte()
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()


def mels_to_tensor(mels: npt.NDArray[np.float32]) -> Tensor:
    """Float32 (n, n_mels, frames) -> (n, 1, n_mels, frames)."""
    return torch.from_numpy(mels)[:, None]


def tensor_to_mels(mels: Tensor) -> npt.NDArray[np.float32]:
    """Float32 (n, 1, n_mels, frames) -> (n, n_mels, frames), clipped to [0, 1]."""
    return mels.clamp(0, 1)[:, 0].numpy()
