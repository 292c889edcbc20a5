"""Random changes to training pictures and sounds that leave their meaning as it is."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_MOST_TILT = math.radians(10)


def uniform(count: int, low: float, high: float, random: torch.Generator) -> Tensor:
    """(count, 1) numbers in [low, high)."""
    return low + (high - low) * torch.rand(count, 1, generator=random)


def augment_pictures(
    strength: float, pictures: Tensor, random: torch.Generator, *, flips: bool = True
) -> Tensor:
    """Flip, crop, move, tilt, and change light, contrast and colour of pictures.

    Args:
        strength: 0 (nothing) to 1; at 1 a crop keeps 70 to 100 % of each side, a tilt is up to 10
            degrees to either side, and the gain of each channel varies by up to 30 %, since a
            gallery's camera and light are not the video's.
        pictures: float32 (n, 3, h, w) in [0, 1].
        random: where the randomness comes from.
        flips: whether half of them are mirrored.

    Returns:
        float32, shape as given, in [0, 1].
    """
    n = len(pictures)
    flip = torch.where(torch.rand(n, 1, generator=random) < 0.5 * flips, -1.0, 1.0)
    zoom = 1 - strength * uniform(n, 0.0, 0.3, random)
    across, down = ((1 - zoom) * uniform(n, -1, 1, random) for _ in range(2))
    tilt = strength * uniform(n, -_MOST_TILT, _MOST_TILT, random)
    along, aside = zoom * torch.cos(tilt), zoom * torch.sin(tilt)
    affine = torch.stack(
        [torch.cat([along * flip, -aside, across], 1), torch.cat([aside * flip, along, down], 1)], 1
    )  # (n, 2, 3)
    grid = functional.affine_grid(affine, list(pictures.shape), align_corners=False)
    moved = functional.grid_sample(
        pictures, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    gamma = 2 ** (strength * uniform(n, -0.5, 0.5, random))
    gain = 1 + strength * 0.2 * (torch.rand(n, 1, generator=random) - 0.5)
    tint = 1 + strength * 0.2 * (torch.rand(n, 3, generator=random) - 0.5)
    lit = moved.clamp_min(1e-4) ** gamma[:, :, None, None]
    return (lit * (gain * tint)[:, :, None, None]).clamp(0, 1)


def augment_mels(strength: float, mels: Tensor, random: torch.Generator) -> Tensor:
    """Change the level of scaled mels by up to 4 % of their range, and turn them in time.

    Args:
        strength: 0 (nothing) to 1; at 1 a sound begins up to 6 % of its length later, and what
            falls out at the end comes in at the beginning.
        mels: float32 (n, 1, n_mels, frames) in [0, 1].
        random: where the randomness comes from.

    Returns:
        float32, shape as given, in [0, 1].
    """
    n, _, _, frames = mels.shape
    shift = (strength * uniform(n, 0, 0.06 * frames, random)).long()  # (n, 1)
    index = (torch.arange(frames)[None, :] + shift) % frames  # (n, frames)
    turned = mels.gather(3, index[:, None, None, :].expand_as(mels))
    level = strength * 0.04 * (2 * torch.rand(n, 1, 1, 1, generator=random) - 1)
    return (turned + level * (turned > 0)).clamp(0, 1)
