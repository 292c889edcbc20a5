"""The associator: a small VAE from the latents of one sense to those of the other.

After Jo et al., "Associative Variational Auto-Encoder with Distributed Latent Spaces and
Associators", AAAI 2020. What goes in and what comes out are latents; each is standardised by the
mean and deviation of its training set, so that neither VAE's scale matters.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ytm_training.models.vae import Code


@dataclass(frozen=True)
class AssociatorShape:
    """Size of the latents and of the layers between them."""

    latent_size: int
    hidden: int
    layers: int
    """Hidden layers on either side of the associator's own latent, which has `latent_size`."""


class Associator(nn.Module):
    """Latent of one sense (n, d) -> latent of the other (n, d)."""

    source_mean: Tensor
    source_deviation: Tensor
    target_mean: Tensor
    target_deviation: Tensor

    def __init__(self, shape: AssociatorShape) -> None:
        super().__init__()
        size = shape.latent_size
        for name, value in (("mean", 0.0), ("deviation", 1.0)):
            self.register_buffer(f"source_{name}", torch.full((size,), value))
            self.register_buffer(f"target_{name}", torch.full((size,), value))
        self.encoder = _layers(size, shape.hidden, shape.layers)
        self.mean = nn.Linear(shape.hidden, size)
        self.log_variance = nn.Linear(shape.hidden, size)
        self.decoder = nn.Sequential(
            *_layers(size, shape.hidden, shape.layers), nn.Linear(shape.hidden, size)
        )

    @torch.no_grad()
    def standardise(self, source: Tensor, target: Tensor) -> None:
        """Learn the scale of both latent spaces from training latents, each (n, d)."""
        for name, latents in (("source", source), ("target", target)):
            getattr(self, f"{name}_mean").copy_(latents.mean(0))
            getattr(self, f"{name}_deviation").copy_(latents.std(0, correction=0).clamp_min(1e-3))

    def scaled_target(self, target: Tensor) -> Tensor:
        """Latents of the target sense as the decoder gives them."""
        return (target - self.target_mean) / self.target_deviation

    def encode(self, source: Tensor) -> Code:
        """Latents of the source sense -> the associator's own posterior."""
        hidden = self.encoder((source - self.source_mean) / self.source_deviation)
        return Code(self.mean(hidden), self.log_variance(hidden).clamp(-12, 4))

    def forward(self, source: Tensor) -> Tensor:
        """The association without noise: the posterior's mean, decoded."""
        scaled: Tensor = self.decoder(self.encode(source).mean)
        return scaled * self.target_deviation + self.target_mean


def _layers(inside: int, hidden: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        layers += [nn.Linear(inside if index == 0 else hidden, hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
