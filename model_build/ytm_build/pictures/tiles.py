"""Pictures and spectrograms side by side, as small PNG files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from ytm_bundle.files import replacing

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

TILE_PX = 112
GAP_PX = 4
MAX_BYTES = 400_000
"""Of one file, so that the repository stays small."""
_GAP_COLOUR = 255
_COLOURS = 256


def picture_tile(pixels: Pixels) -> Pixels:
    """A picture of any size as uint8 (TILE_PX, TILE_PX, 3)."""
    tile = Image.fromarray(pixels).resize((TILE_PX, TILE_PX), Image.Resampling.BILINEAR)
    return np.asarray(tile, np.uint8)


def spectrogram_tile(mel: Array) -> Pixels:
    """A scaled mel (n_mels, frames) as uint8 (TILE_PX, TILE_PX, 3): low bands at the bottom."""
    levels = np.rint(np.clip(mel[::-1], 0, 1) * 255).astype(np.uint8)
    tile = cv2.resize(levels, (TILE_PX, TILE_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.applyColorMap(tile, cv2.COLORMAP_INFERNO)[..., ::-1], np.uint8)


def grid(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Rows of tiles, as many in each, with gaps between them."""
    step = TILE_PX + GAP_PX
    height, width = len(rows) * step - GAP_PX, len(rows[0]) * step - GAP_PX
    whole = np.full((height, width, 3), _GAP_COLOUR, np.uint8)
    for row, tiles in enumerate(rows):
        for column, tile in enumerate(tiles):
            top, left = row * step, column * step
            whole[top : top + TILE_PX, left : left + TILE_PX] = tile
    return whole


def write_png(path: Path, pixels: Pixels) -> None:
    """Write uint8 (height, width, 3), with fewer colours if it would exceed `MAX_BYTES`."""
    image = Image.fromarray(pixels)
    data = _png(image)
    if len(data) > MAX_BYTES:
        data = _png(image.quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, kmeans=1))
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
