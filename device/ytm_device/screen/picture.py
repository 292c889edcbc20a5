"""From the model's small picture to the screen's: mirrored, turned, smooth, covering all of it."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec

Pixels = npt.NDArray[np.uint8]
Rotation = Literal[0, 90, 180, 270]
"""Degrees clockwise by which the picture is turned on the screen."""
Shift = tuple[int, int]
"""Screen pixels by which the picture is moved: to the right, downwards."""

UNMOVED: Shift = (0, 0)
_MARGIN = 2
"""Source pixels beyond a cut that the bicubic kernel reaches."""
_QUARTER = 90
_LINE, _LINE_GREY, _DIMMED = 0.004, 160, 4
"""Of the height; of 255; and by how much the rest of it is darker than the picture."""


class Enlarger:
    """Flips pictures left to right, once, turns them, and enlarges them to one screen size.

    A bundle that squeezes is stretched over the whole screen, as the artwork was. A bundle that
    crops keeps its proportions: it covers the screen, and what hangs over is cut off evenly.
    """

    def __init__(
        self,
        image: ImageSpec,
        width: int,
        height: int,
        rotation: Rotation = 0,
        reach_px: int = 0,
    ) -> None:
        """Prepare for a screen of `width` x `height` pixels.

        Args:
            image: the size of the pictures and how they fit.
            width: of the screen as it is scanned out, not as it hangs.
            height: likewise.
            rotation: turns the picture for a screen that hangs on its side or upside down.
            reach_px: the picture is made so much larger at each edge that it can be moved by so
                many pixels and still covers the screen, >= 0.

        Raises:
            DeviceError: the screen has no area.
        """
        if width < 1 or height < 1:
            raise DeviceError(
                f"screen: {width}x{height} pixels cannot show a picture; give it at least 1x1"
            )
        self.width, self.height = width, height
        self._quarters, self._reach_px = rotation // _QUARTER, reach_px
        across, down = image.width, image.height
        if self._quarters % 2:
            across, down = down, across
        wide, high = width + 2 * reach_px, height + 2 * reach_px
        cover = max(wide / across, high / down)
        crop = image.fit == "crop"
        self._columns = _Cut(across, wide, cover if crop else wide / across)
        self._rows = _Cut(down, high, cover if crop else high / down)
        self._whole: Pixels | None = None
        self.line: float | None = None
        """Share from 0 to 1 of a thin line at the lower edge, from the left; None: no line."""

    def render(self, image: Pixels, shift: Shift = UNMOVED) -> Pixels:
        """Enlarge uint8 (h, w, 3) to uint8 (height, width, 3)."""
        out = np.empty((self.height, self.width, image.shape[2]), np.uint8)
        self.render_into(image, out, shift)
        return out

    def render_into(self, image: Pixels, out: Pixels, shift: Shift = UNMOVED) -> None:
        """Enlarge uint8 (h, w, c), c from 1 to 4, into uint8 (height, width, c).

        Args:
            image: not flipped.
            out: overwritten.
            shift: each of the two at most `reach_px`, either way.
        """
        # The small picture is turned and cut, since that costs next to nothing.
        turned = np.rot90(image[:, ::-1], -self._quarters)
        part = np.ascontiguousarray(turned[self._rows.taken, self._columns.taken])
        size = (self._columns.enlarged, self._rows.enlarged)
        if size == (self.width, self.height):
            cv2.resize(part, size, dst=out, interpolation=cv2.INTER_CUBIC)
        else:
            whole = self._room(image.shape[2])
            cv2.resize(part, size, dst=whole, interpolation=cv2.INTER_CUBIC)
            out[:] = whole[self._kept(self._rows, shift[1]), self._kept(self._columns, shift[0])]
        if self.line is not None:
            self._draw_line(out, self.line)

    def _draw_line(self, out: Pixels, share: float) -> None:
        """Draw over what was rendered, at the edge that is the lower one to whoever looks."""
        upright = np.rot90(out, self._quarters)
        height, width = upright.shape[:2]
        thick = max(round(height * _LINE), 1)
        upright[height - thick :] //= _DIMMED
        upright[height - thick :, : round(width * share)] = _LINE_GREY

    def _kept(self, cut: _Cut, shift_px: int) -> slice:
        """What of the enlarged axis lies on the screen, moved by `shift_px`."""
        first = cut.start + self._reach_px - shift_px
        return slice(first, first + cut.target - 2 * self._reach_px)

    def _room(self, channels: int) -> Pixels:
        """Room for a whole picture; kept, since fresh memory costs more than the enlarging."""
        shape = (self._rows.enlarged, self._columns.enlarged, channels)
        if self._whole is None or self._whole.shape != shape:
            self._whole = np.empty(shape, np.uint8)
        return self._whole


class _Cut:
    """Which source pixels of one axis to enlarge, to how many, and where the target lies there."""

    def __init__(self, source: int, target: int, scale: float) -> None:
        hidden = (source - target / scale) / 2
        first = max(int(hidden) - _MARGIN, 0)
        self.taken = slice(first, source - first)
        self.target = target
        self.enlarged = max(round((source - 2 * first) * scale), target)
        self.start = (self.enlarged - target) // 2
