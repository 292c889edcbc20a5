"""From the model's small picture to the screen's: mirrored, smooth, covering all of it."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec

Pixels = npt.NDArray[np.uint8]

_MARGIN = 2
"""Source pixels beyond a cut that the bicubic kernel reaches."""


class Enlarger:
    """Flips pictures left to right, once, and enlarges them to one screen size.

    A bundle that squeezes is stretched over the whole screen, as the artwork was. A bundle that
    crops keeps its proportions: it covers the screen, and what hangs over is cut off evenly.
    """

    def __init__(self, image: ImageSpec, width: int, height: int) -> None:
        """Prepare for a screen of `width` x `height` pixels.

        Raises:
            DeviceError: the screen has no area.
        """
        if width < 1 or height < 1:
            raise DeviceError(
                f"screen: {width}x{height} pixels cannot show a picture; give it at least 1x1"
            )
        self.width, self.height = width, height
        cover = max(width / image.width, height / image.height)
        crop = image.fit == "crop"
        self._columns = _Cut(image.width, width, cover if crop else width / image.width)
        self._rows = _Cut(image.height, height, cover if crop else height / image.height)
        self._whole: Pixels | None = None

    def render(self, image: Pixels) -> Pixels:
        """Enlarge uint8 (h, w, 3) to uint8 (height, width, 3)."""
        out = np.empty((self.height, self.width, image.shape[2]), np.uint8)
        self.render_into(image, out)
        return out

    def render_into(self, image: Pixels, out: Pixels) -> None:
        """Enlarge uint8 (h, w, c), c from 1 to 4, into uint8 (height, width, c)."""
        part = np.ascontiguousarray(image[self._rows.taken, ::-1][:, self._columns.taken])
        size = (self._columns.enlarged, self._rows.enlarged)
        if size == (self.width, self.height):
            cv2.resize(part, size, dst=out, interpolation=cv2.INTER_CUBIC)
        else:
            whole = self._room(image.shape[2])
            cv2.resize(part, size, dst=whole, interpolation=cv2.INTER_CUBIC)
            out[:] = whole[self._rows.kept, self._columns.kept]

    def _room(self, channels: int) -> Pixels:
        """Room for a whole picture; kept, since fresh memory costs more than the enlarging."""
        shape = (self._rows.enlarged, self._columns.enlarged, channels)
        if self._whole is None or self._whole.shape != shape:
            self._whole = np.empty(shape, np.uint8)
        return self._whole


class _Cut:
    """Which source pixels of one axis to enlarge, to how many, and which of those to keep."""

    def __init__(self, source: int, target: int, scale: float) -> None:
        hidden = (source - target / scale) / 2
        first = max(int(hidden) - _MARGIN, 0)
        self.taken = slice(first, source - first)
        self.enlarged = max(round((source - 2 * first) * scale), target)
        start = (self.enlarged - target) // 2
        self.kept = slice(start, start + target)
