"""The artwork's associator: a small VAE from the latents of one sense to those of the other.

After Jo et al., "Associative Variational Auto-Encoder with Distributed Latent Spaces and
Associators", AAAI 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ytm_training.models.standardiser import Standardiser
from ytm_training.models.vae import Code


@dataclass(frozen=True)
class AssociatorShape:
    """Size of the latents and of the layers between them."""

    latent_size: int
    hidden: int
    layers: int
    """Hidden layers on either side of the associator's own latent, which has `latent_size`."""


class VariationalAssociator(nn.Module):
    """Latent of one sense (n, d) -> latent of the other (n, d)."""

    takes_noise = False

    def __init__(self, shape: AssociatorShape) -> None:
        super().__init__()
        size = shape.latent_size
        self.source, self.target = Standardiser(size), Standardiser(size)
        self.encoder = _layers(size, shape.hidden, shape.layers)
        self.mean = nn.Linear(shape.hidden, size)
        self.log_variance = nn.Linear(shape.hidden, size)
        self.decoder = nn.Sequential(
            *_layers(size, shape.hidden, shape.layers), nn.Linear(shape.hidden, size)
        )

    @torch.no_grad()
    def standardise(self, source: Tensor, target: Tensor) -> None:
        """Learn the scale of both latent spaces from training latents, each (n, d)."""
        self.source.learn(source)
        self.target.learn(target)

    def encode(self, source: Tensor) -> Code:
        """Latents of the source sense -> the associator's own posterior."""
        hidden = self.encoder(self.source(source))
        return Code(self.mean(hidden), self.log_variance(hidden).clamp(-12, 4))

    def forward(self, source: Tensor) -> Tensor:
        """The association without noise: the posterior's mean, decoded."""
        scaled: Tensor = self.decoder(self.encode(source).mean)
        return self.target.undo(scaled)


def _layers(inside: int, hidden: int, count: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for index in range(count):
        layers += [nn.Linear(inside if index == 0 else hidden, hidden), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)
