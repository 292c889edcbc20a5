"""The bridge: one space in which a picture lies near the sounds that went with it.

Learned by contrast (van den Oord et al. 2018; Radford et al. 2021): of all sounds of a batch, a
picture's own is to be the nearest, and the other way round.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from ytm_training.models.standardiser import Standardiser

_HIDDEN = 256
_DROPOUT = 0.2
_TEMPERATURE = 0.1
_SHORTEST = 1e-3


class Embedding(nn.Module):
    """Latents of one sense (n, d) -> points of the bridge (n, e), each component of size 1."""

    def __init__(self, latent_size: int, size: int) -> None:
        super().__init__()
        self.scale = Standardiser(latent_size)
        self.layers = nn.Sequential(
            *(nn.Linear(latent_size, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT)),
            *(nn.Linear(_HIDDEN, _HIDDEN), nn.ReLU(), nn.Dropout(_DROPOUT)),
            nn.Linear(_HIDDEN, size),
        )

    def forward(self, latents: Tensor) -> Tensor:
        """Embed latents; their length on the bridge is the root of its dimensions."""
        points: Tensor = self.layers(self.scale(latents))
        # In float32: the squares of a float16 body could leave its range.
        length = torch.linalg.vector_norm(points.float(), dim=1, keepdim=True)
        unit: Tensor = points / length.clamp_min(_SHORTEST).to(points.dtype)
        return math.sqrt(points.shape[1]) * unit


class Bridge(nn.Module):
    """The embeddings of both senses."""

    def __init__(self, latent_size: int, size: int) -> None:
        super().__init__()
        self.seen = Embedding(latent_size, size)
        self.heard = Embedding(latent_size, size)

    def likeness(self, seen: Tensor, heard: Tensor) -> Tensor:
        """Cosine of every picture with every sound, over the temperature: (n, n)."""
        points, others = self.seen(seen), self.heard(heard)
        cosines: Tensor = points @ others.T / points.shape[1]
        return cosines / _TEMPERATURE


def contrast(likeness: Tensor, labels: Tensor, label_share: float) -> Tensor:
    """How far each row and column of `likeness` is from choosing its own partner: a scalar, nats.

    Args:
        likeness: (n, n); partners on the diagonal.
        labels: (n,) integers; below 0: unknown.
        label_share: share of the choice that all of one label have between them (supervised
            contrastive learning, Khosla et al. 2020); the rest is the partner's alone.
    """
    own = torch.eye(len(likeness), device=likeness.device)
    same = (labels[:, None] == labels[None]) & (labels >= 0)
    alike = torch.maximum(same.float(), own)
    wanted = (1 - label_share) * own + label_share * alike / alike.sum(1, keepdim=True)
    rows = functional.cross_entropy(likeness, wanted)
    return (rows + functional.cross_entropy(likeness.T, wanted)) / 2
