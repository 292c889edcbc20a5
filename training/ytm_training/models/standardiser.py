"""Latents on one scale, whatever the scale of the VAE they come from."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_SMALLEST = 1e-3
"""Least deviation divided by: a dimension that never varies stays small."""


class Standardiser(nn.Module):
    """Latents (n, d) -> the same with mean 0 and deviation 1 over a training set."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    @torch.no_grad()
    def learn(self, latents: Tensor) -> None:
        """Learn the scale from training latents (n, d)."""
        self.mean.copy_(latents.mean(0))
        self.deviation.copy_(latents.std(0, correction=0).clamp_min(_SMALLEST))

    def forward(self, latents: Tensor) -> Tensor:
        """Bring latents onto the common scale."""
        return (latents - self.mean) / self.deviation

    def undo(self, scaled: Tensor) -> Tensor:
        """The inverse of `forward`."""
        return scaled * self.deviation + self.mean
