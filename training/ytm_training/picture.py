"""From a decoded video frame to upright RGB with square pixels, and to a model's input size.

The device decodes through GStreamer; both must see the same picture, within 2/255 on average. So
where a stream does not say how its colours are coded, GStreamer's defaults hold here too.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import numpy.typing as npt
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from PIL import Image

from ytm_bundle.manifest import ImageSpec

Pixels = npt.NDArray[np.uint8]

MAX_SIDE_PX = 8192
"""Frames with a longer side are refused: the largest formats in use have 8192 pixels."""

_SD_LINES, _UHD_LINES = 576, 2160
# Codes of ITU-T H.273 table 4, as FFmpeg's frames carry them.
_MATRICES = {
    1: Colorspace.ITU709,
    4: Colorspace.FCC,
    5: Colorspace.ITU601,
    6: Colorspace.ITU601,
    7: Colorspace.SMPTE240M,
    9: Colorspace.BT2020,
    10: Colorspace.BT2020,
}
_EXACT = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
_SQUARE = Fraction(1, 100)
_MAX_STRETCH = 4


def upright_rgb(frame: VideoFrame, pixel_aspect: Fraction | None) -> Pixels:
    """Convert a decoded frame to what a viewer sees.

    Args:
        frame: as decoded; its colour matrix, range and rotation are honoured.
        pixel_aspect: width of a pixel over its height; None means square.

    Returns:
        uint8 (height, width, 3) RGB, full range, square pixels, upright.
    """
    matrix, colour_range = _colours(frame)
    converted = frame.reformat(
        format="rgb24",
        interpolation=_EXACT,
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=colour_range,
        dst_color_range=ColorRange.JPEG,
        threads=1,
    )
    square = _squared(np.asarray(converted.to_ndarray(), np.uint8), pixel_aspect)
    # FFmpeg's angle is counterclockwise, as is numpy's.
    return np.ascontiguousarray(np.rot90(square, round(frame.rotation / 90)))


def _colours(frame: VideoFrame) -> tuple[Colorspace, ColorRange]:
    """Colour matrix and range; where unspecified, by the rule of GStreamer's video-info."""
    matrix = _MATRICES.get(int(frame.colorspace))
    if matrix is None and frame.height >= _UHD_LINES:
        matrix = Colorspace.BT2020
    elif matrix is None:
        matrix = Colorspace.ITU709 if frame.height > _SD_LINES else Colorspace.ITU601
    full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
    return matrix, ColorRange.JPEG if full else ColorRange.MPEG


def _squared(pixels: Pixels, aspect: Fraction | None) -> Pixels:
    """Widen or narrow so that pixels become square; the height stays.

    An aspect within 1 % of square is a container's rounding, and an absurd one is damage.
    """
    if not aspect or abs(aspect - 1) < _SQUARE or max(aspect, 1 / aspect) > _MAX_STRETCH:
        return pixels
    height, width = pixels.shape[:2]
    return _resized(pixels, max(1, round(width * aspect)), height)


def _resized(pixels: Pixels, width: int, height: int) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR), np.uint8)


def shrink(pixels: Pixels, longest_px: int) -> Pixels:
    """Reduce so that the longest side is at most `longest_px`; never enlarge.

    Args:
        pixels: uint8 (height, width, 3).
        longest_px: pixels.

    Returns:
        uint8 (height, width, 3), in the same proportions.
    """
    height, width = pixels.shape[:2]
    scale = longest_px / max(height, width)
    if scale >= 1:
        return pixels
    return _resized(pixels, max(1, round(width * scale)), max(1, round(height * scale)))


def fit_image(rgb: Pixels, spec: ImageSpec) -> Pixels:
    """Bring a picture to the encoder's size, by the fit and the filter that `spec` states.

    The same meaning as GStreamer's `aspectratiocrop ! videoscale` (crop: the middle of the longer
    side) and `videoscale add-borders=false` (squeeze).

    Args:
        rgb: uint8 (height, width, 3), upright, square pixels.
        spec: size and fit wanted.

    Returns:
        uint8 (spec.height, spec.width, 3).
    """
    height, width = rgb.shape[:2]
    if spec.fit == "crop":
        # Cut before scaling, so that nothing from outside the cut bleeds into its edges.
        kept_width = max(1, min(width, round(height * spec.width / spec.height)))
        kept_height = max(1, min(height, round(width * spec.height / spec.width)))
        left, top = (width - kept_width) // 2, (height - kept_height) // 2
        rgb = rgb[top : top + kept_height, left : left + kept_width]
    return _resized(rgb, spec.width, spec.height)
