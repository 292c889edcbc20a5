"""Pictures and sounds as vectors in which distance means something."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]

THUMBNAIL = 16
"""Side, in pixels, of the pictures that retrieval compares."""
_HISTOGRAM_LEVELS = 4


def mel_profile(mels: Array) -> Array:
    """Mean and deviation over time of each band: (n, n_mels, frames) -> (n, 2 * n_mels)."""
    return np.concatenate([mels.mean(2), mels.std(2)], axis=1)


def thumbnails(pictures: Pictures, side: int = THUMBNAIL) -> Array:
    """Pictures averaged over `side` by `side` blocks: (n, h, w, 3) -> (n, side * side * 3)."""
    n, height, width, _ = pictures.shape
    down, across = (np.linspace(0, size, side + 1).astype(int)[:-1] for size in (height, width))
    rows = np.add.reduceat(pictures, down, axis=1, dtype=np.float32)
    blocks = np.add.reduceat(rows, across, axis=2)  # (n, side, side, 3)
    area = np.outer(np.diff([*down, height]), np.diff([*across, width]))
    return np.asarray((blocks / (255 * area[None, :, :, None])).reshape(n, -1), np.float32)


def mean_colour(pictures: Pictures) -> Array:
    """Mean red, green and blue, 0 to 1: (n, h, w, 3) -> (n, 3)."""
    return np.asarray(pictures.mean((1, 2)) / 255, np.float32)


def colour_histogram(pictures: Pictures) -> Array:
    """Root of the share of pixels of each of 64 colours: (n, h, w, 3) -> (n, 64)."""
    levels = pictures // (256 // _HISTOGRAM_LEVELS)
    code = levels[..., 0] * 16 + levels[..., 1] * 4 + levels[..., 2]  # (n, h, w)
    shares = [np.bincount(each.ravel(), minlength=64) / each.size for each in code]
    return np.sqrt(np.array(shares, np.float32))
