"""The variational autoencoder of pictures and of sounds: one network, two shapes.

A strided convolutional encoder and its mirror image (Kingma & Welling 2013). Optionally a linear
path runs beside the convolutions from a reduced input to the latent and back; begun at the
principal components, it gives the network the best linear code to improve upon.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ytm_training.models.components import principal_components

_FAINTEST = 0.05
"""Smallest deviation that a component is whitened from; below it float16 would add more noise than
the component carries."""


@dataclass(frozen=True)
class VaeShape:
    """The tensor a VAE codes, and how its encoder narrows it."""

    size: tuple[int, int, int]
    """(channels, height, width) of the input."""
    widths: tuple[int, ...]
    """Channels after each convolution."""
    strides: tuple[tuple[int, int], ...]
    """Reduction of height and width by each convolution."""
    neck: int
    """Channels next to the latent."""
    latent_size: int
    linear_pool: tuple[int, int] | None = None
    """Reduction of height and width ahead of the linear path; None: no linear path."""

    @property
    def reduction(self) -> tuple[int, int]:
        """Total reduction of height and width."""
        return (
            math.prod(stride[0] for stride in self.strides),
            math.prod(stride[1] for stride in self.strides),
        )

    @property
    def padded(self) -> tuple[int, int]:
        """Height and width, rounded up to what the strides divide."""
        return (
            math.ceil(self.size[1] / self.reduction[0]) * self.reduction[0],
            math.ceil(self.size[2] / self.reduction[1]) * self.reduction[1],
        )

    @property
    def innermost(self) -> tuple[int, int]:
        """Height and width next to the latent."""
        return (self.padded[0] // self.reduction[0], self.padded[1] // self.reduction[1])

    @property
    def linear_size(self) -> tuple[int, int, int]:
        """(channels, height, width) of what the linear path sees."""
        pool = self.linear_pool or (1, 1)
        return (self.size[0], self.padded[0] // pool[0], self.padded[1] // pool[1])


class Code(NamedTuple):
    """Parameters of the posterior, each (n, latent_size)."""

    mean: Tensor
    log_variance: Tensor

    def sample(self, generator: torch.Generator) -> Tensor:
        """Draw one latent an input (the reparameterisation trick)."""
        noise = torch.randn(self.mean.shape, generator=generator).to(self.mean.device)
        return self.mean + noise * (0.5 * self.log_variance).exp()

    def divergence(self) -> Tensor:
        """Kullback-Leibler divergence from the unit Gaussian: (n,), nats for each dimension."""
        return 0.5 * (self.mean**2 + self.log_variance.exp() - 1 - self.log_variance).mean(1)


class Encoder(nn.Module):
    """Input (n, c, h, w) -> `Code`."""

    def __init__(self, shape: VaeShape) -> None:
        super().__init__()
        self.shape = shape
        channels = (shape.size[0], *shape.widths)
        self.body = nn.Sequential(
            *(
                _block(inside, outside, stride)
                for inside, outside, stride in zip(
                    channels, shape.widths, shape.strides, strict=False
                )
            ),
            _block(shape.widths[-1], shape.neck, (1, 1)),
            nn.Flatten(),
        )
        flat = shape.neck * math.prod(shape.innermost)
        self.mean = nn.Linear(flat, shape.latent_size)
        self.log_variance = nn.Linear(flat, shape.latent_size)
        self.linear: nn.Linear | None = None
        if shape.linear_pool:
            self.linear = nn.Linear(math.prod(shape.linear_size), shape.latent_size)

    def forward(self, x: Tensor) -> Code:
        x = self._pad(x)  # (n, c, padded h, padded w)
        flat = self.body(x)  # (n, neck * innermost)
        mean = self.mean(flat)  # (n, latent)
        if self.linear is not None and self.shape.linear_pool:
            mean = mean + self.linear(functional.avg_pool2d(x, self.shape.linear_pool).flatten(1))
        return Code(mean, self.log_variance(flat).clamp(-12, 4))

    def _pad(self, x: Tensor) -> Tensor:
        down = self.shape.padded[0] - self.shape.size[1]
        right = self.shape.padded[1] - self.shape.size[2]
        return functional.pad(x, (0, right, 0, down)) if down or right else x


class Decoder(nn.Module):
    """Latent (n, latent_size) -> output (n, c, h, w); pictures and scaled mels lie in [0, 1]."""

    def __init__(self, shape: VaeShape) -> None:
        super().__init__()
        self.shape = shape
        self.inner = nn.Linear(shape.latent_size, shape.neck * math.prod(shape.innermost))
        channels = (*shape.widths[::-1][1:], shape.size[0])
        self.body = nn.Sequential(_block(shape.neck, shape.widths[-1], (1, 1)))
        inside = shape.widths[-1]
        for outside, stride in zip(channels[:-1], shape.strides[::-1], strict=False):
            block = _block(inside, outside * stride[0] * stride[1], (1, 1))
            _begin_smoothly(block[0], stride)
            self.body.extend([block, Unfold(stride)])
            inside = outside
        last = shape.strides[0]
        self.last = nn.Conv2d(inside, channels[-1] * last[0] * last[1], 3, padding=1)
        _begin_smoothly(self.last, last)
        self.unfold = Unfold(last)
        self.linear: nn.Linear | None = None
        if shape.linear_pool:
            self.linear = nn.Linear(shape.latent_size, math.prod(shape.linear_size))

    def forward(self, latent: Tensor) -> Tensor:
        x: Tensor = self.inner(latent).unflatten(1, (self.shape.neck, *self.shape.innermost))
        x = self.unfold(self.last(self.body(x)))  # (n, c, padded h, padded w)
        if self.linear is not None:
            coarse = self.linear(latent).unflatten(1, self.shape.linear_size)
            x = x + functional.interpolate(coarse, size=self.shape.padded, mode="bilinear")
        return x[:, :, : self.shape.size[1], : self.shape.size[2]]


class Unfold(nn.Module):
    """Depth to space: (n, c * sh * sw, h, w) -> (n, c, h * sh, w * sw)."""

    def __init__(self, stride: tuple[int, int]) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        down, across = self.stride
        if down == across:
            return functional.pixel_shuffle(x, down)
        _, channels, height, width = x.shape
        x = x.view(-1, channels // (down * across), down, across, height, width)
        return x.permute(0, 1, 4, 2, 5, 3).reshape(
            -1, channels // (down * across), height * down, width * across
        )


class Vae(nn.Module):
    """Encoder and decoder together."""

    def __init__(self, shape: VaeShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(shape)
        self.decoder = Decoder(shape)
        # A CPU learns in 11 to 22 % less time with the channels of a place side by side in memory.
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # absent in stubs
        if shape.linear_pool:
            self._begin_quietly()

    def _begin_quietly(self) -> None:
        """Let the convolutions add nothing at first, so that the linear path starts alone."""
        last, mean, log_variance = self.decoder.last, self.encoder.mean, self.encoder.log_variance
        assert last.bias is not None
        for parameter in (last.weight, last.bias, mean.weight, mean.bias, log_variance.weight):
            nn.init.zeros_(parameter)
        nn.init.constant_(log_variance.bias, -4.0)

    @torch.no_grad()
    def begin_at_principal_components(self, samples: Tensor) -> None:
        """Set the linear path to the whitened principal components of `samples`.

        Args:
            samples: (n, c, h, w), n at least 2; components beyond n - 1 stay as they were.
        """
        pool, encode, decode = self.shape.linear_pool, self.encoder.linear, self.decoder.linear
        if pool is None or encode is None or decode is None:
            raise ValueError("this shape has no linear path")
        flat = functional.avg_pool2d(self.encoder._pad(samples), pool).flatten(1)
        mean, basis, spread = principal_components(flat, self.shape.latent_size)
        known = len(basis)
        deviation = spread.clamp_min(_FAINTEST)
        encode.weight[:known] = basis / deviation[:, None]
        encode.bias.copy_(-encode.weight @ mean)
        decode.weight.mul_(0.01)
        decode.weight[:, :known] = basis.T * deviation
        decode.bias.copy_(mean)


def _block(inside: int, outside: int, stride: tuple[int, int]) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inside, outside, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outside),
        nn.ReLU(inplace=True),
    )


@torch.no_grad()
def _begin_smoothly(convolution: nn.Module, stride: tuple[int, int]) -> None:
    """Let neighbours that `Unfold` makes of one place start equal, so that no grid shows.

    Aitken et al., "Checkerboard artifact free sub-pixel convolution", 2017.
    """
    assert isinstance(convolution, nn.Conv2d)
    count = stride[0] * stride[1]
    # The channels of one place follow each other: the first of them stands for all.
    convolution.weight.copy_(convolution.weight[::count].repeat_interleave(count, 0))
