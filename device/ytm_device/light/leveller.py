"""Levels the light of a picture before the mirror looks at it.

The model learned from pictures that somebody had exposed well. A gallery is dark, or its window is
bright: then visitors would all look alike to it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.light.exposure import GAMMA, Exposure, exposure

Pixels = npt.NDArray[np.uint8]

ADAPT_S = 3.0
"""The eye of the mirror adapts so slowly: a dark coat that comes near is not a dark room."""
_NS_PER_S = 1_000_000_000
_TOO_DARK_GAIN = 8.0
"""Three stops: beyond it noise shows."""
_TOO_BRIGHT_SHARE = 0.25
_MOSTLY_BLACK_SHARE = 0.5


@dataclass(frozen=True)
class Light:
    """What was found and done."""

    gain: float
    """By how much the light was multiplied; 1: nothing was done."""
    brightness: float
    """Of the camera's picture, 0 to 255; see `Exposure.brightness`."""
    dark_share: float
    """Of the camera's picture, 0 to 1: as good as black."""
    bright_share: float
    """Of the camera's picture, 0 to 1: as good as white."""
    problem: str | None
    """What is wrong with the light, and what to do; None: nothing."""


class LightLeveller:
    """Follows the light of one camera."""

    def __init__(self) -> None:
        """Begin without a picture."""
        self._log_gain: float | None = None
        self._taken_ns = 0
        self._report: Light | None = None

    @property
    def report(self) -> Light | None:
        """Of the last picture; None before the first."""
        return self._report

    def level(self, pixels: Pixels, taken_ns: int) -> Pixels:
        """Level a picture. The first one is levelled at once, then the gain follows slowly.

        Args:
            pixels: uint8 (h, w, 3) RGB, as the camera saw it.
            taken_ns: when it was taken. One that is not later than the last changes no gain.

        Returns:
            A new picture of the same shape.
        """
        measured = exposure(pixels)
        gain = self._follow(measured.wanted_gain, taken_ns)
        self._report = Light(
            gain=gain,
            brightness=measured.brightness,
            dark_share=measured.dark_share,
            bright_share=measured.bright_share,
            problem=problem(measured, gain),
        )
        return np.asarray(cv2.LUT(pixels, _table(gain)), np.uint8)

    def _follow(self, wanted_gain: float, taken_ns: int) -> float:
        wanted = math.log(wanted_gain)
        if self._log_gain is None:
            self._log_gain, self._taken_ns = wanted, taken_ns
        elif taken_ns > self._taken_ns:
            elapsed_s = (taken_ns - self._taken_ns) / _NS_PER_S
            self._log_gain += (wanted - self._log_gain) * -math.expm1(-elapsed_s / ADAPT_S)
            self._taken_ns = taken_ns
        return math.exp(self._log_gain)


def problem(measured: Exposure, gain: float) -> str | None:
    """What is wrong with the light of a picture that needs `gain`, and what to do."""
    if measured.is_blank:
        return "nothing to see, the picture has one colour: is the lens covered?"
    if gain > _TOO_DARK_GAIN or measured.dark_share > _MOSTLY_BLACK_SHARE:
        return (
            f"too dark: brightness {measured.brightness:.0f} of 255, "
            f"{measured.dark_share:.0%} black; light the visitors, or let the camera expose longer"
        )
    if measured.bright_share > _TOO_BRIGHT_SHARE:
        return (
            f"too bright: {measured.bright_share:.0%} of the picture is white; turn the camera "
            "from the window or the lamp, or let it expose less"
        )
    return None


def _table(gain: float) -> Pixels:
    """What becomes of every level, uint8 (256,)."""
    levels = np.arange(256) * gain ** (1 / GAMMA)
    return np.asarray(np.rint(np.minimum(levels, 255)), np.uint8)
