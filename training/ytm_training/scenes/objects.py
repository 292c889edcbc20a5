"""The objects of the scenes, each painted about a place, with a radius and a turn.

`turn` is a complex number of length 1; `pulse` is 1 when the object is struck and falls to 0.
"""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.camera.figure import Colour, fill_hull

Pixels = npt.NDArray[np.uint8]
Painter = Callable[[Pixels, complex, float, complex, Colour, float], None]

_SUBPIXEL = 16
_LIGHT = complex(-0.35, -0.4)
_WOOD, _DARK, _STRING = (186, 128, 70), (46, 34, 30), (240, 232, 214)


def _toned(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def _polygon(picture: Pixels, points: Sequence[complex], colour: Colour) -> None:
    corners = np.array([(point.real, point.imag) for point in points]) * _SUBPIXEL
    outline = [np.round(corners).astype(np.int32)]
    cv2.fillPoly(picture, outline, colour, cv2.LINE_AA, int(math.log2(_SUBPIXEL)))


def _ball(
    picture: Pixels, place: complex, radius: float, turn: complex, colour: Colour, pulse: float
) -> None:
    """A sphere: ever lighter discs towards the light, with a highlight and a seam."""
    del turn
    for step in np.linspace(0, 1, 12):
        centre = place + _LIGHT * radius * 0.55 * step
        fill_hull(
            picture, [(centre, radius * (1 - 0.75 * step))], _toned(colour, 0.6 + 0.55 * step)
        )
    glint = place + _LIGHT * radius * 0.8
    fill_hull(picture, [(glint, radius * (0.1 + 0.05 * pulse))], (255, 252, 246))


def _box(
    picture: Pixels, place: complex, radius: float, turn: complex, colour: Colour, pulse: float
) -> None:
    """A cube seen from above a corner; its lid is lit from within when it sounds."""
    rim = [place + radius * cmath.rect(1, math.pi * (k / 3 + 1 / 6)) for k in range(6)]
    rim = [place + (point - place) * cmath.rect(1, 0.3 * cmath.phase(turn)) for point in rim]
    _polygon(picture, [place, rim[0], rim[1], rim[2]], _toned(colour, 0.62))
    _polygon(picture, [place, rim[2], rim[3], rim[4]], _toned(colour, 0.85))
    _polygon(picture, [place, rim[4], rim[5], rim[0]], _toned(colour, 1.15))
    lid = [place + (corner - place) * 0.7 for corner in (rim[4], rim[5], rim[0])]
    middle = (rim[5] - place) * 0.3 + place
    _polygon(picture, [middle, *lid], _toned(colour, 1.0 + 0.5 * pulse))


def _star(
    picture: Pixels, place: complex, radius: float, turn: complex, colour: Colour, pulse: float
) -> None:
    """Five points, half of each in the shade, and rays when it rings."""
    tips = [place + radius * turn * cmath.rect(1.1, math.pi * (0.4 * k - 0.5)) for k in range(5)]
    dents = [place + radius * turn * cmath.rect(0.46, math.pi * (0.4 * k - 0.3)) for k in range(5)]
    for k in range(5):
        _polygon(picture, [place, dents[k - 1], tips[k]], _toned(colour, 1.2))
        _polygon(picture, [place, tips[k], dents[k]], _toned(colour, 0.72))
        if pulse > 0.2:
            out = place + (dents[k] - place) * (1.6 + pulse)
            near = place + (dents[k] - place) * 1.4
            fill_hull(picture, [(near, radius * 0.03), (out, radius * 0.015)], (255, 246, 200))


def _drum(
    picture: Pixels, place: complex, radius: float, turn: complex, colour: Colour, pulse: float
) -> None:
    """A drum from above, its skin bright where the stick has hit it."""
    down, wide = complex(0, radius * 0.9), radius
    top, bottom = place - down * 0.5, place + down * 0.6
    _ellipse(picture, bottom, wide, 0.42 * wide, _toned(colour, 0.6))
    sides = [top - wide, top + wide, bottom + wide, bottom - wide]
    _polygon(picture, sides, _toned(colour, 0.8))
    for share in np.linspace(-0.85, 0.85, 7):
        low = bottom + wide * share + 0.4j * wide * math.sqrt(1 - share**2)
        high = top + wide * (share + 0.14) + 0.3j * wide * math.sqrt(1 - share**2)
        fill_hull(picture, [(high, wide * 0.018), (low, wide * 0.018)], _STRING)
    _ellipse(picture, top, wide, 0.42 * wide, _toned(colour, 1.1))
    _ellipse(picture, top, wide * 0.93, 0.38 * wide, (232, 222, 202))
    if pulse > 0.1:
        _ellipse(picture, top, wide * 0.5 * (2 - pulse), 0.2 * wide * (2 - pulse), (255, 250, 236))
    tip = top + radius * complex(0.25, 0.02 - 0.5 * (1 - pulse))
    stick = tip + radius * turn * complex(1.1, -0.8)
    fill_hull(picture, [(tip, wide * 0.055), (stick, wide * 0.035)], _WOOD)


def _ellipse(picture: Pixels, centre: complex, wide: float, high: float, colour: Colour) -> None:
    _polygon(
        picture,
        [
            centre + complex(wide * math.cos(angle), high * math.sin(angle))
            for angle in np.linspace(0, 2 * math.pi, 40, endpoint=False)
        ],
        colour,
    )


def _guitar(
    picture: Pixels, place: complex, radius: float, turn: complex, colour: Colour, pulse: float
) -> None:
    """A guitar; its strings widen while they swing."""
    along = turn * cmath.rect(1, -0.9)
    across = along * 1j
    lower, upper = place - along * 0.55 * radius, place + along * 0.12 * radius
    for tone, grow in ((0.6, 1.05), (1.0, 0.97)):
        body = _toned(colour, tone)
        fill_hull(picture, [(lower, 0.58 * radius * grow), (upper, 0.2 * radius)], body)
        fill_hull(picture, [(upper, 0.42 * radius * grow)], body)
    fill_hull(picture, [(place - along * 0.1 * radius, 0.17 * radius)], _DARK)
    neck, head = place + along * 0.3 * radius, place + along * 1.35 * radius
    fill_hull(picture, [(neck, 0.075 * radius), (head, 0.07 * radius)], _toned(_WOOD, 0.6))
    fill_hull(picture, [(head, 0.1 * radius), (head + along * 0.18 * radius, 0.11 * radius)], _DARK)
    bridge = place - along * 0.72 * radius
    for number in range(-2, 3):
        shift = across * 0.028 * number * radius
        thick = radius * (0.006 + 0.012 * pulse)
        fill_hull(picture, [(bridge + shift * 1.6, thick), (head + shift, thick)], _STRING)
    ends = [(bridge + side * across * 0.16 * radius, 0.03 * radius) for side in (-1, 1)]
    fill_hull(picture, ends, _DARK)


OBJECTS: dict[str, Painter] = {
    "ball": _ball,
    "box": _box,
    "star": _star,
    "drum": _drum,
    "guitar": _guitar,
}
