"""What a scene looks like."""

from __future__ import annotations

import cmath
import math
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.camera.figure import Arm, Colour, Pose, draw_person
from ytm_training.scenes.objects import OBJECTS
from ytm_training.scenes.scene import Scene, Thing
from ytm_training.scenes.walls import paint_wall

Pixels = npt.NDArray[np.uint8]

_FLASH_S = 0.12
_FAR, _NEAR = 0.75, 2.1
"""Heights of a person over that of the picture, at size 0 and 1."""


def draw(scene: Scene, t_s: float, width: int, height: int) -> Pixels:
    """Draw a scene at a time.

    Returns:
        uint8 (height, width, 3) RGB, owned by the caller.
    """
    picture = _room(scene, width, height).copy()
    for thing in scene.things:
        if thing.kind == "person":
            _draw_singer(picture, thing, t_s)
        else:
            _draw_object(picture, thing, t_s)
    lit = picture * _lamp(scene, width, height)
    return np.asarray(np.clip(lit, 0, 255), np.uint8)


def hand_pose(thing: Thing, t_s: float, width: int, height: int) -> Pose:
    """How a singer stands: hands as high as the pitch, mouth as wide as the vowel."""
    size = _FAR + (_NEAR - _FAR) * thing.size.at(t_s)
    raised = thing.height.at(t_s)
    apart = thing.uneven * min(raised, 1 - raised)
    across = thing.across.at(t_s)
    sway = math.sin(2 * math.pi * t_s / thing.beat_s / 2)
    pulse = math.exp(-thing.since_beat_s(t_s) / _FLASH_S)
    return Pose(
        x=across * width,
        feet_y=height * (0.97 + 0.85 * (size - _FAR)),
        height=size * height * 0.92,
        left=_arm(raised + apart),
        right=_arm(raised - apart),
        lean=0.04 * sway,
        tilt=0.05 * sway,
        gaze=0.6 * (0.5 - across),
        mouth=0.35 + 0.6 * (1 - abs(2 * across - 1)) * (0.7 + 0.3 * pulse),
    )


def _arm(raised: float) -> Arm:
    return Arm(0.12 + 2.75 * raised, 0.1 + 0.5 * math.sin(math.pi * raised))


def _draw_singer(picture: Pixels, thing: Thing, t_s: float) -> None:
    if thing.looks is None:
        raise ValueError("a person needs looks")
    height, width = picture.shape[:2]
    draw_person(picture, thing.looks, hand_pose(thing, t_s, width, height))


def _draw_object(picture: Pixels, thing: Thing, t_s: float) -> None:
    """An object, a little larger just after it was struck, with its shadow on the wall."""
    height, width = picture.shape[:2]
    pulse = math.exp(-thing.since_beat_s(t_s) / _FLASH_S)
    radius = height * (0.07 + 0.24 * thing.size.at(t_s)) * (1 + 0.10 * pulse)
    place = complex(
        thing.across.at(t_s) * width,
        height * (0.92 - 0.84 * thing.height.at(t_s)),
    )
    shadow = (round(place.real + radius * 0.25), round(place.imag + radius * 0.3))
    darkened = picture.copy()
    cv2.circle(darkened, shadow, max(1, round(radius)), (20, 20, 24), -1, cv2.LINE_AA)
    cv2.addWeighted(darkened, 0.3, picture, 0.7, 0, picture)
    turn = cmath.rect(1, 0.25 * math.sin(2 * math.pi * 0.4 * t_s))
    OBJECTS[thing.kind](picture, place, radius, turn, _brightened(thing.colour, pulse), pulse)


def _brightened(colour: Colour, pulse: float) -> Colour:
    red, green, blue = (round(part + (255 - part) * 0.25 * pulse) for part in colour)
    return red, green, blue


@lru_cache(maxsize=4)
def _room(scene: Scene, width: int, height: int) -> Pixels:
    rng = np.random.default_rng([scene.seed, scene.number, 1])
    return paint_wall(scene.wall, scene.wall_colour, scene.floor_colour, (width, height), rng)


@lru_cache(maxsize=4)
def _lamp(scene: Scene, width: int, height: int) -> npt.NDArray[np.float32]:
    """Light on everything, float32 (height, width, 1), with a little grain against banding."""
    y, x = np.mgrid[0:height, 0:width]
    across, down = (x / width - scene.lamp[0]), (y / height - scene.lamp[1])
    falloff = 1 - scene.contrast * (1 - np.exp(-2.2 * (across**2 + down**2)))
    grain = np.random.default_rng([scene.seed, scene.number, 2]).normal(1, 0.012, falloff.shape)
    return np.asarray((scene.exposure * falloff * grain)[..., None], np.float32)
