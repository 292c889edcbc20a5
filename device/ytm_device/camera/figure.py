"""A drawn person: looks and pose in, antialiased paint on a picture out.

Lengths are fractions of the person's height, so that one figure serves every distance. A point is
a complex number, x to the right and y downwards, in pixels: turning is then a multiplication.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]
"""Red, green, blue, each 0 to 255."""
Circle = tuple[complex, float]
"""Centre and radius, in pixels."""

_SUBPIXEL_BITS = 4
_CIRCLE = np.exp(1j * np.linspace(0, 2 * np.pi, 24, endpoint=False))
_LIGHT = complex(-0.35, -0.45)
"""Where the lit face of a limb lies from its middle, in radii."""

_HIPS, _SHOULDERS, _HEAD = 0.50, 0.805, 0.925
_HIP_WIDTH, _SHOULDER_WIDTH = 0.062, 0.108
_UPPER_ARM, _FOREARM, _HAND = 0.165, 0.150, 0.030
_THIGH, _SHIN, _FOOT = 0.245, 0.235, 0.055
_HEAD_WIDTH, _HEAD_HEIGHT = 0.053, 0.069


@dataclass(frozen=True)
class Looks:
    """What a person looks like, whatever they do."""

    skin: Colour
    hair: Colour
    top: Colour
    trousers: Colour
    hair_style: Literal["short", "long", "bun", "bald"] = "short"
    top_style: Literal["plain", "stripes", "dress"] = "plain"
    build: float = 1.0
    """Breadth against the average, 0.8 to 1.3."""


@dataclass(frozen=True)
class Arm:
    """Angles of one arm, in radians."""

    shoulder: float = 0.15
    """0 hangs down, pi / 2 points sideways, pi points up."""
    elbow: float = 0.1
    """0 is straight; greater bends the forearm on in the direction of raising."""


@dataclass(frozen=True)
class Pose:
    """Where a person stands and how they hold themselves."""

    x: float
    """Pixels from the left to the middle of the hips."""
    feet_y: float
    """Pixels from the top to the ground they stand on; may lie below the picture."""
    height: float
    """Pixels from ground to crown when standing straight."""
    left: Arm = Arm()
    """The arm on the left side of the picture."""
    right: Arm = Arm()
    lean: float = 0.0
    """Radians that the upper body leans to the right of the picture."""
    tilt: float = 0.0
    """Radians that the head tilts to the right, beyond the lean."""
    stride: float = 0.0
    """Radians between a leg and the vertical; positive puts the right leg outwards."""
    gaze: float = 0.0
    """-1 looks to the left of the picture, 1 to the right."""
    mouth: float = 0.0
    """0 is a closed smile, 1 wide open."""


def draw_person(canvas: Pixels, looks: Looks, pose: Pose) -> None:
    """Paint one person on `canvas`, uint8 (height, width, 3) RGB, in place."""
    _Figure(canvas, looks, pose).draw()


def arm_points(pose: Pose, side: Literal[-1, 1]) -> tuple[complex, complex, complex]:
    """Shoulder, elbow and hand of the arm on `side` (-1: left of the picture), in pixels."""
    up = _up(pose.lean)
    right, size = up * 1j, pose.height
    arm = pose.left if side < 0 else pose.right
    shoulder = _hips(pose) + up * (_SHOULDERS - _HIPS) * size
    shoulder += side * right * _SHOULDER_WIDTH * size

    def along(angle: float) -> complex:
        return -up * math.cos(angle) + side * right * math.sin(angle)

    elbow = shoulder + along(arm.shoulder) * _UPPER_ARM * size
    hand = elbow + along(arm.shoulder + arm.elbow) * _FOREARM * size
    return shoulder, elbow, hand


def _up(angle: float) -> complex:
    return complex(math.sin(angle), -math.cos(angle))


def _hips(pose: Pose) -> complex:
    drop = math.cos(pose.stride) * (_THIGH + _SHIN) + _HIPS - _THIGH - _SHIN
    return complex(pose.x, pose.feet_y - drop * pose.height)


def _shade(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(channel * factor)) for channel in colour)
    return red, green, blue


def fill_hull(canvas: Pixels, circles: Iterable[Circle], colour: Colour) -> None:
    """Fill the convex hull of circles, which makes every limb: a capsule is the hull of two."""
    points = np.concatenate([centre + radius * _CIRCLE for centre, radius in circles])
    scaled = np.stack([points.real, points.imag], axis=-1) * (1 << _SUBPIXEL_BITS)
    outline = cv2.convexHull(np.round(scaled).astype(np.int32))
    cv2.fillConvexPoly(canvas, outline, colour, cv2.LINE_AA, _SUBPIXEL_BITS)


class _Figure:
    """One person being painted, from back to front."""

    def __init__(self, canvas: Pixels, looks: Looks, pose: Pose) -> None:
        self.canvas, self.looks, self.pose = canvas, looks, pose
        self.size = pose.height
        self.up = _up(pose.lean)
        self.right = self.up * 1j
        self.hips = _hips(pose)
        self.neck = self.hips + self.up * (_SHOULDERS - _HIPS + 0.02) * self.size
        self.head_up = _up(pose.lean + pose.tilt)
        self.head = self.neck + self.head_up * (_HEAD - _SHOULDERS - 0.02) * self.size

    def draw(self) -> None:
        self._hair_behind()
        for side in (-1, 1):
            self._leg(side)
        self._torso()
        self._neck_and_head()
        self._face()
        for side in (-1, 1):
            self._arm(-1 if side < 0 else 1)

    def _limb(self, colour: Colour, *circles: tuple[complex, float]) -> None:
        """A rounded body with a darker rim away from the light; radii in body heights."""
        sized = [(centre, radius * self.size) for centre, radius in circles]
        fill_hull(self.canvas, sized, _shade(colour, 0.74))
        lit = [(centre + _LIGHT * radius * 0.4, radius * 0.8) for centre, radius in sized]
        fill_hull(self.canvas, lit, colour)

    def _leg(self, side: int) -> None:
        pose, size, looks = self.pose, self.size, self.looks
        hip = self.hips + side * _HIP_WIDTH * 0.72 * looks.build * size
        swing = pose.stride + 0.04
        knee = hip + _THIGH * size * complex(math.sin(swing) * side, math.cos(swing))
        ankle = knee + _SHIN * size * complex(math.sin(swing * 0.8) * side, math.cos(swing))
        toe = ankle + complex(side * 0.6 + pose.gaze, 0.35) * _FOOT * 0.6 * size
        self._limb((58, 50, 48), (ankle + 0.012j * size, 0.022), (toe, 0.017))
        self._limb(looks.trousers, (hip, 0.052 * looks.build), (knee, 0.038))
        self._limb(looks.trousers, (knee, 0.038), (ankle, 0.026))

    def _torso(self) -> None:
        looks, size = self.looks, self.size
        shoulders = [
            (self.neck + side * self.right * _SHOULDER_WIDTH * 0.78 * size, 0.036)
            for side in (-1, 1)
        ]
        shoulders = [(point - self.up * 0.025 * size, radius) for point, radius in shoulders]
        drop, spread = (0.16, 1.75) if looks.top_style == "dress" else (0.015, 1.0)
        hem = [
            (
                self.hips
                - self.up * drop * size
                + side * self.right * _HIP_WIDTH * spread * looks.build * size,
                0.034,
            )
            for side in (-1, 1)
        ]
        self._limb(looks.top, (self.neck - self.up * 0.01 * size, 0.034), *shoulders, *hem)
        if looks.top_style == "stripes":
            self._stripes()

    def _stripes(self) -> None:
        light = _shade(self.looks.top, 1.45)
        half_width = (_SHOULDER_WIDTH - 0.024) * min(self.looks.build, 1.05) * self.size
        for height in (0.08, 0.14, 0.20, 0.26):
            middle = self.hips + self.up * height * self.size
            ends = [(middle + side * self.right * half_width * 0.93, 0.010) for side in (-1, 1)]
            fill_hull(self.canvas, [(point, r * self.size) for point, r in ends], light)

    def _arm(self, side: Literal[-1, 1]) -> None:
        looks = self.looks
        shoulder, elbow, wrist = arm_points(self.pose, side)
        shoulder -= side * self.right * 0.012 * self.size
        short = looks.top_style == "dress"
        self._hand(elbow, wrist, side)
        self._limb(looks.skin if short else looks.top, (elbow, 0.028), (wrist, 0.021))
        self._limb(looks.skin if short else looks.top, (shoulder, 0.034), (elbow, 0.028))
        if short:
            self._limb(looks.top, (shoulder, 0.036), (shoulder * 0.6 + elbow * 0.4, 0.035))

    def _hand(self, elbow: complex, wrist: complex, side: int) -> None:
        forward = (wrist - elbow) / abs(wrist - elbow)
        palm = wrist + forward * _HAND * 0.8 * self.size
        skin = self.looks.skin
        for spread in (-0.42, -0.14, 0.14, 0.42):
            finger = palm + forward * complex(math.cos(spread), math.sin(spread)) * (
                _HAND * 1.25 * self.size
            )
            self._limb(skin, (palm, 0.010), (finger, 0.0065))
        thumb = palm + forward * complex(0.55, -0.75 * side) * _HAND * self.size
        self._limb(skin, (wrist, 0.010), (thumb, 0.007))
        self._limb(skin, (wrist, 0.018), (palm, 0.021))

    def _hair_behind(self) -> None:
        if self.looks.hair_style == "long":
            ends = self.head - self.head_up * 0.125 * self.size
            spread = self.head_up * 1j * 0.03 * self.size
            self._limb(
                self.looks.hair, (self.head, 0.066), (ends - spread, 0.035), (ends + spread, 0.035)
            )
        elif self.looks.hair_style == "bun":
            self._limb(self.looks.hair, (self.head + self.head_up * 0.082 * self.size, 0.030))

    def _neck_and_head(self) -> None:
        looks, size, up = self.looks, self.size, self.head_up
        self._limb(_shade(looks.skin, 0.86), (self.neck, 0.027), (self.head, 0.026))
        if looks.hair_style != "bald":
            crown = self.head + up * 0.022 * size
            self._limb(looks.hair, (crown, 0.060), (crown - up * 0.02 * size, 0.058))
        jaw = self.head - up * (_HEAD_HEIGHT - 0.040) * size
        brow = self.head + up * 0.008 * size
        turn = up * 1j * self.pose.gaze * 0.008 * size
        self._limb(looks.skin, (brow + turn, _HEAD_WIDTH * 0.95), (jaw + turn, 0.038))
        if looks.hair_style in ("short", "long"):
            fringe = self.head + up * 0.056 * size
            spread = up * 1j * 0.024 * size
            self._limb(looks.hair, (fringe - spread, 0.020), (fringe + spread * 1.1, 0.016))

    def _face(self) -> None:
        size, up = self.size, self.head_up
        across = up * 1j
        middle = self.head + across * self.pose.gaze * 0.022 * size
        dark = _shade(self.looks.skin, 0.30)
        for side in (-1, 1):
            eye = middle + side * across * 0.021 * size + up * 0.008 * size
            self._dot(eye, 0.0088, (246, 244, 238))
            self._dot(eye + across * self.pose.gaze * 0.003 * size, 0.0054, (44, 34, 30))
            brow = eye + up * 0.015 * size
            ends = [(brow - across * 0.008 * size, 0.0026), (brow + across * 0.008 * size, 0.0026)]
            fill_hull(self.canvas, [(point, r * size) for point, r in ends], dark)
            self._dot(middle + (side * across * 0.030 - up * 0.016) * size, 0.009, self._cheek())
        self._dot(middle - up * 0.009 * size, 0.0062, _shade(self.looks.skin, 0.86))
        self._mouth(middle - up * 0.030 * size, across)

    def _mouth(self, middle: complex, across: complex) -> None:
        width, gap = 0.017 - 0.005 * self.pose.mouth, 0.0035 + 0.012 * self.pose.mouth
        corners = [middle + side * across * width * self.size for side in (-1, 1)]
        circles = [*((corner, 0.003) for corner in corners), (middle + 0.003j * self.size, gap)]
        lips = (150, 62, 62)
        fill_hull(self.canvas, [(point, radius * self.size) for point, radius in circles], lips)
        if self.pose.mouth > 0.2:
            self._dot(middle + 0.003j * self.size, gap * 0.68, (84, 24, 30))

    def _cheek(self) -> Colour:
        red, green, blue = self.looks.skin
        return min(255, red + 8), round(green * 0.90), round(blue * 0.88)

    def _dot(self, centre: complex, radius: float, colour: Colour) -> None:
        fill_hull(self.canvas, [(centre, radius * self.size)], colour)
