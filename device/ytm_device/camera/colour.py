"""YCbCr to RGB, exactly: GStreamer's own fast conversion is off by 3 of 255 in green.

Reference: ITU-R BT.601-7, BT.709-6 and BT.2020-2, non-constant luminance, 8 bits.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.uint8]

LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
"""Weights of red and blue in luma; green has the rest."""


def rgb_from_ycbcr(
    planes: tuple[Plane, Plane, Plane], matrix: str, full_range: bool
) -> npt.NDArray[np.uint8]:
    """Convert luma and full-size chroma planes to a picture.

    Args:
        planes: Y, Cb and Cr, each uint8 (height, width).
        matrix: a key of `LUMA_WEIGHTS`.
        full_range: all of 0..255 is used, instead of 16..235 (luma) and 16..240 (chroma).

    Returns:
        uint8 (height, width, 3) RGB, rounded to nearest.
    """
    weights, offset = _transform(matrix, full_range)
    ycbcr = np.stack(planes, axis=-1).astype(np.float32)
    rgb = np.rint(ycbcr @ weights + offset)
    return np.asarray(np.clip(rgb, 0, 255), np.uint8)


@lru_cache(maxsize=8)
def _transform(
    matrix: str, full_range: bool
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """(3, 3) weights and (3,) offset such that `rgb = ycbcr @ weights + offset`."""
    red, blue = LUMA_WEIGHTS[matrix]
    green = 1 - red - blue
    luma_gain, chroma_gain = (1.0, 1.0) if full_range else (255 / 219, 255 / 224)
    from_cb, from_cr = 2 * (1 - blue) * chroma_gain, 2 * (1 - red) * chroma_gain
    weights = np.array(
        [
            [luma_gain, luma_gain, luma_gain],
            [0, -from_cb * blue / green, from_cb],
            [from_cr, -from_cr * red / green, 0],
        ]
    )
    black = np.array([0 if full_range else 16, 128, 128])
    return weights.astype(np.float32), (-black @ weights).astype(np.float32)
