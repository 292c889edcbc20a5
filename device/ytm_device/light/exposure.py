"""How well a picture is exposed, and by how much it should be brightened."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

DARK_LEVEL, BRIGHT_LEVEL = 5, 250
"""Of 255: what is darker, or brighter, is clipped."""
GAMMA = 2.2
"""Of a camera's picture, nearly: so many times the light is its root of this times the level."""
MOST_GAIN, LEAST_GAIN = 16.0, 1 / 6
"""Times the light. More would show noise instead of visitors."""

_WELL_LIT = (140.0, 190.0)
"""Of `Exposure.brightness`: between them nothing is done."""
_WANTED = 160.0
_CERTAIN = 0.85
"""So far beyond an edge of `_WELL_LIT`, as a ratio, the whole way to `_WANTED` is gone."""
_CERTAIN_BRIGHT_SHARE = 0.15
"""A white wall is bright too. Only if so much is clipped as well, it was too much light."""
_LEAST_CONTRAST, _LEAST_BRIGHTNESS = 3.0, 2.0
"""A picture with less holds nothing to be levelled: the lens is covered."""


@dataclass(frozen=True)
class Exposure:
    """Of one picture; levels are those of its grey."""

    brightness: float
    """0 to 255: between the mean and the brightest twentieth, in which visitors differ less."""
    contrast: float
    """Levels between the darkest and the brightest twentieth."""
    dark_share: float
    """Of the picture, 0 to 1: `DARK_LEVEL` or less."""
    bright_share: float
    """Of the picture, 0 to 1: `BRIGHT_LEVEL` or more."""

    @property
    def is_blank(self) -> bool:
        """Nothing can be seen: black, white or one colour."""
        return self.contrast < _LEAST_CONTRAST or self.brightness < _LEAST_BRIGHTNESS

    @property
    def wanted_gain(self) -> float:
        """By how much the light should be multiplied, `LEAST_GAIN` to `MOST_GAIN`; 1: well lit."""
        if self.is_blank:
            return 1.0
        return min(max(float(self._wanted_factor**GAMMA), LEAST_GAIN), MOST_GAIN)

    @property
    def _wanted_factor(self) -> float:
        """Of the levels; 1 at the edges of what is well lit, and no jump anywhere."""
        darkest, brightest = _WELL_LIT
        if self.brightness < darkest:
            beyond, certain = darkest / self.brightness, 1.0
        elif self.brightness > brightest:
            beyond = self.brightness / brightest
            certain = min(1.0, self.bright_share / _CERTAIN_BRIGHT_SHARE)
        else:
            return 1.0
        certain *= min(1.0, float(np.log(beyond) / -np.log(_CERTAIN)))
        return float((_WANTED / self.brightness) ** certain)


def exposure(pixels: npt.NDArray[np.uint8]) -> Exposure:
    """Measure a picture, uint8 (h, w, 3) RGB."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    counts = np.bincount(grey.ravel(), minlength=256)
    below = np.cumsum(counts)
    dark, bright = (int(np.searchsorted(below, share * grey.size)) for share in (0.05, 0.95))
    mean = float(counts @ np.clip(np.arange(256), dark, bright)) / grey.size
    return Exposure(
        brightness=float(np.sqrt(mean * bright)),
        contrast=float(bright - dark),
        dark_share=float(below[DARK_LEVEL]) / grey.size,
        bright_share=float(counts[BRIGHT_LEVEL:].sum()) / grey.size,
    )
