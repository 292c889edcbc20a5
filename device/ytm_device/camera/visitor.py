"""The drawn visitor: who stands before the mirror when there is no camera.

A person walks in before a softly lit wall, waves, comes nearer, raises both arms, dances, steps
back and leaves; then the next one comes. Everything is a pure function of time.
"""

from __future__ import annotations

import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.camera.figure import Arm, Looks, Pose, draw_person

Pixels = npt.NDArray[np.uint8]

VISIT_S = 20.0
"""Seconds from one visitor's entrance to the next one's."""

VISITORS = (
    Looks((236, 188, 152), (92, 54, 34), (206, 74, 58), (52, 62, 96), "short", "stripes"),
    Looks((122, 80, 58), (32, 26, 28), (236, 176, 54), (66, 58, 74), "bun", "dress", 0.95),
    Looks((214, 160, 118), (38, 32, 36), (50, 128, 138), (84, 76, 70), "short", "plain", 1.15),
    Looks((248, 212, 186), (198, 142, 70), (112, 88, 158), (58, 66, 78), "long", "plain", 0.9),
)
"""Who comes, one after another; then the first again."""

_WALL = (203, 190, 172)
_FLOOR = (124, 102, 86)
_FLOOR_LINE = 0.86
_STEPS_HZ = 1.5

# Seconds into the visit, and the value there; eased between.
_PLACE = ((0, -0.30), (3.6, 0.50), (12, 0.50), (13, 0.42), (14.5, 0.58), (16, 0.5), (19.6, 1.35))
_NEARNESS = ((0, 0.92), (6.5, 0.92), (9, 1.55), (13, 1.55), (15.5, 0.92), (20, 0.92))
_WALKING = ((0, 1), (3, 1), (3.8, 0), (6.4, 0), (7, 0.6), (9, 0), (16, 0), (16.6, 1), (20, 1))
_WAVING = ((0, 0), (3.6, 0), (4.3, 1), (6.2, 1), (7, 0), (17, 0), (17.5, 1), (18.6, 1), (19.2, 0))
_RAISING = ((0, 0), (9, 0), (10.2, 1), (11.4, 0.55), (12.4, 1), (13.6, 0.35), (14.6, 0.9), (16, 0))
_GAZE = ((0, 1), (3, 0.7), (4, 0), (16, 0), (16.8, 0.9), (20, 1))


def draw_visitor(t_s: float, width: int, height: int) -> Pixels:
    """Draw what a camera would see of the visitor at a moment.

    Args:
        t_s: seconds, any value; the visits repeat for ever.
        width: pixels.
        height: pixels.

    Returns:
        uint8 (height, width, 3) RGB, not flipped, owned by the caller.
    """
    visit, into_s = divmod(t_s, VISIT_S)
    pose = _pose(into_s, width, height)
    picture = _light(_room(width, height), into_s)
    _cast_shadow(picture, pose)
    draw_person(picture, VISITORS[int(visit) % len(VISITORS)], pose)
    return picture


def _eased(t_s: float, track: tuple[tuple[float, float], ...]) -> float:
    """The value of a track at a time: still at every key, smooth between (smoothstep)."""
    before = max((key for key in track if key[0] <= t_s), default=track[0])
    after = min((key for key in track if key[0] > t_s), default=track[-1])
    if before[0] >= after[0]:
        return before[1]
    share = (t_s - before[0]) / (after[0] - before[0])
    return before[1] + (after[1] - before[1]) * share * share * (3 - 2 * share)


def _pose(t_s: float, width: int, height: int) -> Pose:
    walking, waving, raising = (_eased(t_s, track) for track in (_WALKING, _WAVING, _RAISING))
    nearness = _eased(t_s, _NEARNESS)
    step = math.sin(2 * math.pi * _STEPS_HZ * t_s / 2)
    sway = math.sin(2 * math.pi * t_s / 2.5)
    size = nearness * height * 0.86
    swing = 0.35 * walking * step
    wave = waving * 0.35 * math.sin(2 * math.pi * 2.2 * t_s)
    return Pose(
        x=_eased(t_s, _PLACE) * width + 0.012 * sway * height,
        feet_y=(0.96 + 0.75 * (nearness - 0.92)) * height - abs(step) * walking * 0.012 * height,
        height=size,
        left=Arm(0.16 + abs(swing) + raising * (2.2 + 0.35 * sway), 0.12 + 0.5 * raising),
        right=Arm(
            0.16 + 0.6 * abs(swing) + waving * 1.55 + raising * (2.2 - 0.35 * sway),
            0.12 + waving * 1.15 + wave + 0.5 * raising,
        ),
        lean=(0.03 + 0.07 * raising) * sway + 0.05 * walking,
        tilt=0.05 * math.sin(2 * math.pi * t_s / 4) + 0.08 * waving,
        stride=0.2 * walking * step + 0.06 * raising,
        gaze=_eased(t_s, _GAZE),
        mouth=0.25 * waving + 0.45 * raising,
    )


@lru_cache(maxsize=4)
def _room(width: int, height: int) -> npt.NDArray[np.float32]:
    """The empty room, float32 (height, width, 3) in [0, 255]."""
    room = np.empty((height, width, 3), np.float32)
    line = round(_FLOOR_LINE * height)
    room[:line], room[line:] = _WALL, _FLOOR
    board = max(1, height // 40)
    room[line - board : line] = np.multiply(_WALL, 1.12)
    room[line : line + max(1, height // 160)] = np.multiply(_FLOOR, 0.72)
    return room


@lru_cache(maxsize=4)
def _lamp(width: int, height: int) -> npt.NDArray[np.float32]:
    """Light of a lamp at the upper left, float32 (height, width, 1), about 0.6 to 1.1."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    distance = np.hypot((x - 0.34 * width) / width, 0.9 * (y - 0.22 * height) / height)
    light = 0.58 + 0.52 * np.exp(-2.4 * distance**2)
    return np.asarray(light[..., None], np.float32)


def _light(room: npt.NDArray[np.float32], t_s: float) -> Pixels:
    """Light the room; the light breathes a little, as daylight does."""
    height, width = room.shape[:2]
    breath = 1 + 0.03 * math.sin(2 * math.pi * t_s / VISIT_S)
    lit = cv2.convertScaleAbs(room * _lamp(width, height), alpha=breath)
    return np.asarray(lit, np.uint8)


def _cast_shadow(picture: Pixels, pose: Pose) -> None:
    """Darken the wall behind and the floor beneath the visitor, softly, in place."""
    height, width = picture.shape[:2]
    scale = 8
    shadow = np.zeros((height // scale + 1, width // scale + 1), np.float32)
    middle = ((pose.x + 0.10 * pose.height) / scale, (pose.feet_y - 0.52 * pose.height) / scale)
    body = (middle, (0.24 * pose.height / scale, 0.95 * pose.height / scale), 0)
    feet = ((pose.x / scale, pose.feet_y / scale), (0.5 * pose.height / scale, 6), 0)
    cv2.ellipse(shadow, body, 0.26, -1)
    cv2.ellipse(shadow, feet, 0.42, -1)
    shadow = cv2.GaussianBlur(shadow, (0, 0), 0.05 * pose.height / scale)
    soft = cv2.resize(shadow, (width, height), interpolation=cv2.INTER_LINEAR)
    cv2.multiply(picture, cv2.merge([1 - soft] * 3), picture, dtype=cv2.CV_8U)
