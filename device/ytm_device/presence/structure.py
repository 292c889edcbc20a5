"""What of a picture does not depend on its light: its edges, and how those of two pictures differ.

Light that is switched, a camera that adapts and a screen that glows multiply what is seen, and add
what is smooth. A high-pass filter takes away what is added, and comparing directions instead of
lengths what is multiplied. What is left are the edges of things.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

LONGEST_SIDE = 56
"""Pictures are made so small at most: what people do is larger, what noise does is not."""
ROUNDING = 0.03
"""Squared levels that whole numbers alone make, averaged over four pixels."""
_SMOOTH_SIGMA = 1.6
_NEIGHBOURHOOD = (5, 5)
_SURROUNDINGS = (21, 21)
_TINY = np.float32(0.05)


def brightness(pixels: npt.NDArray[np.uint8]) -> Array:
    """uint8 (h, w, 3) RGB -> float32 (rows, columns) in [0, 255], `LONGEST_SIDE` or smaller."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if size != (width, height):
        grey = cv2.resize(grey.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    return np.asarray(grey, np.float32)


def edges(grey: Array) -> Array:
    """float32 (rows, columns) -> the same without what is smooth: 0 for any even slope of light."""
    return np.asarray(grey - cv2.GaussianBlur(grey, (0, 0), _SMOOTH_SIGMA), np.float32)


def unexplained(one: Array, other: Array) -> tuple[Array, Array]:
    """How much of each neighbourhood's edges cannot be the other picture's in another light.

    Args:
        one: edges, float32 (rows, columns).
        other: edges, float32 (rows, columns), against which to compare.

    Returns:
        Squared levels, >= 0, a mean over the neighbourhood: what is unexplained, and what there is.
        Both (rows, columns).
    """
    own = _mean(one * one, _NEIGHBOURHOOD)
    others = _mean(other * other, _NEIGHBOURHOOD)
    product = _mean(one * other, _NEIGHBOURHOOD)
    shared = np.square(np.maximum(product, 0))
    # How much stronger or weaker the light around has made the other picture's edges.
    gain = np.maximum(_mean(product, _SURROUNDINGS), 0) / (_mean(others, _SURROUNDINGS) + _TINY)
    gain *= gain
    came = np.maximum(own - shared / (others + _TINY), 0)
    went = gain * np.maximum(others - shared / (own + _TINY), 0)
    return np.maximum(came, went), own + gain * others


def _mean(values: Array, size: tuple[int, int]) -> Array:
    return np.asarray(cv2.blur(values, size, borderType=cv2.BORDER_REFLECT_101), np.float32)
