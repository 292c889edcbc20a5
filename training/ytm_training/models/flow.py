"""Answers that differ: a flow from noise to the latents of the other sense, and its one-step pupil.

The flow learns the velocity that carries noise to the latents that went with a point of the bridge
(flow matching; Lipman et al. 2023), with and without the point, so that its answers can be drawn
more firmly to the point than the training set is (guidance without a classifier; Ho & Salimans
2022). A pupil learns to arrive in one step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ytm_training.models.bridge import Embedding
from ytm_training.models.standardiser import Standardiser

_TIME_WAVES = (1.0, 2.0, 4.0, 8.0)


@dataclass(frozen=True)
class FlowShape:
    """Sizes of a flow and of its pupil, and what the pupil makes of its noise."""

    latent_size: int
    embedding_size: int
    hidden: int
    layers: int
    temperature: float
    """Deviation of the noise that the flow starts from; below 1 it keeps to likelier answers."""


class ResidualLayers(nn.Module):
    """(n, inside) -> (n, outside), by a trunk of `hidden` channels with `layers` side paths."""

    def __init__(self, inside: int, hidden: int, outside: int, layers: int) -> None:
        super().__init__()
        self.inside = nn.Linear(inside, hidden)
        self.paths = nn.ModuleList(
            nn.Sequential(
                nn.LayerNorm(hidden),
                nn.Linear(hidden, hidden),
                nn.SiLU(),
                nn.Linear(hidden, hidden),
            )
            for _ in range(layers)
        )
        self.outside = nn.Linear(hidden, outside)

    def forward(self, x: Tensor) -> Tensor:
        x = self.inside(x)
        for path in self.paths:
            x = x + path(x)
        result: Tensor = self.outside(functional.silu(x))
        return result


class Flow(nn.Module):
    """The velocity of standardised latents (n, d), by time (n, 1) in [0, 1] and point (n, e)."""

    def __init__(self, shape: FlowShape) -> None:
        super().__init__()
        self.shape = shape
        inside = shape.latent_size + shape.embedding_size + 1 + 2 * len(_TIME_WAVES)
        self.layers = ResidualLayers(inside, shape.hidden, shape.latent_size, shape.layers)

    def forward(self, x: Tensor, time: Tensor, point: Tensor) -> Tensor:
        """The velocity at `x`; a point of zeros stands for none."""
        angles = [math.pi * wave * time for wave in _TIME_WAVES]
        waves = [wave(angle) for angle in angles for wave in (torch.sin, torch.cos)]
        velocity: Tensor = self.layers(torch.cat([x, point, time, *waves], 1))
        return velocity

    @torch.no_grad()
    def arrive(self, noise: Tensor, point: Tensor, guidance: float, steps: int) -> Tensor:
        """Follow the flow from `noise` (n, d) to its end, by the midpoint rule.

        Args:
            noise: where to start, deviation 1; the shape's temperature is applied here.
            point: (n, e).
            guidance: how much farther than learned to go towards the point; 0: as learned.
            steps: of the integration.
        """
        x, step = self.shape.temperature * noise, 1 / steps
        for index in range(steps):
            half = x + step / 2 * self._guided(x, index * step, point, guidance)
            x = x + step * self._guided(half, (index + 0.5) * step, point, guidance)
        return x

    def _guided(self, x: Tensor, time: float, point: Tensor, guidance: float) -> Tensor:
        times = x.new_full((len(x), 1), time)
        velocity: Tensor = self(x, times, point)
        if not guidance:
            return velocity
        free: Tensor = self(x, times, torch.zeros_like(point))
        return velocity + guidance * (velocity - free)


class FlowAssociator(nn.Module):
    """Latent of one sense (n, d) -> latent of the other (n, d): the flow's pupil.

    What a picture does not say about its sound is chosen by noise. The picture brings noise of its
    own: its latent, turned, so that another picture of the same thing sounds different and the same
    picture sounds the same. `noise` is added to that.
    """

    takes_noise = True
    own: Tensor

    def __init__(self, shape: FlowShape, embedding: Embedding) -> None:
        super().__init__()
        self.shape = shape
        self.embedding = embedding.requires_grad_(False)
        self.target = Standardiser(shape.latent_size)
        self.register_buffer("own", torch.eye(shape.latent_size))
        inside = shape.latent_size + shape.embedding_size
        self.layers = ResidualLayers(inside, shape.hidden, shape.latent_size, shape.layers)

    @torch.no_grad()
    def learn_own_noise(self, source: Tensor, random: torch.Generator) -> None:
        """Turn source latents (n, d) at random, and to deviation 1: what comes is near Gaussian."""
        size = self.shape.latent_size
        turned, _ = torch.linalg.qr(torch.randn(size, size, generator=random))
        spread = (self.embedding.scale(source) @ turned).std(0, correction=0)
        self.own.copy_(turned / spread.clamp_min(1e-3))

    def answer(self, noise: Tensor, point: Tensor) -> Tensor:
        """Standardised latents of the target sense, from noise (n, d) and point (n, e)."""
        result: Tensor = self.layers(torch.cat([self.shape.temperature * noise, point], 1))
        return result

    def forward(self, source: Tensor, noise: Tensor | None = None) -> Tensor:
        """Associate source latents (n, d); noise (n, d) varies the answer."""
        chosen = self.embedding.scale(source) @ self.own
        if noise is not None:
            chosen = chosen + noise
        return self.target.undo(self.answer(chosen, self.embedding(source)))
