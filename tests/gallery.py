"""What a camera in a gallery may see: rooms, what their light does, and the camera's own noise.

Everything is computed in linear light and becomes a picture last, as in a camera: gain, noise,
gamma, whole numbers. The same seed gives the same pictures.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np

GAMMA = 2.2
Array = np.ndarray
_FINE = 1 << 16
_LIGHT_OF_LEVEL = np.float32((np.arange(256) / 255) ** GAMMA)
_LEVEL_OF_LIGHT = np.rint(255 * (np.arange(_FINE) / (_FINE - 1)) ** (1 / GAMMA)).astype(np.uint8)
Light = Callable[[float, int, int], Array]
"""Seconds, height, width -> light, float32 broadcast to (height, width, 3); 1 is as drawn."""
Shown = tuple[Array, int]
"""A picture, uint8 (h, w, 3), and its `taken_ns`."""


def linear(pixels: Array) -> Array:
    """uint8 -> float32 light in [0, 1]."""
    return _LIGHT_OF_LEVEL[pixels]


def exposed(
    light: Array, random: np.random.Generator, noise: float = 1.0, stops: float = 0
) -> Array:
    """Light in [0, 1] -> what a camera makes of it, uint8.

    Args:
        light: float32 (h, w, 3); more than 1 is clipped.
        random: source of the noise.
        noise: 1 is a webcam in a lit room: 1 % of read noise and shot noise; 0 is none.
        stops: of exposure, before the noise.
    """
    seen = light * np.float32(2.0**stops)
    if noise:
        deviation = noise * np.sqrt(0.003**2 + 0.0004 * seen)
        seen = seen + deviation * random.standard_normal(seen.shape, np.float32)
    return _LEVEL_OF_LIGHT[(np.clip(seen, 0, 1) * (_FINE - 1)).astype(np.uint16)]


def drawn_room(seed: int, size: int = 112) -> Array:
    """A room with a wall, a floor, pictures and furniture: uint8 (size, size, 3)."""
    random = np.random.default_rng(seed)
    scale = 4
    side = size * scale
    room = np.empty((side, side, 3), np.uint8)
    room[:] = random.integers(90, 220, 3)
    floor = int(side * random.uniform(0.65, 0.9))
    room[floor:] = random.integers(40, 160, 3)
    for x in range(0, side, side // int(random.integers(6, 14))):
        cv2.line(room, (x, floor), (int(2.5 * x - 0.75 * side), side), (60, 50, 40), scale)
    for _ in range(int(random.integers(2, 6))):
        draw_thing(room, random, floor)
    lamp = np.linspace(1.1, 0.6, side)[:, None, None] * np.linspace(0.8, 1.05, side)[None, :, None]
    lit = np.clip(room * lamp + random.normal(0, 3, (side, side, 1)), 0, 255).astype(np.uint8)
    return cv2.resize(lit, (size, size), interpolation=cv2.INTER_AREA)


def draw_thing(room: Array, random: np.random.Generator, floor: int) -> None:
    """Draw a picture on the wall or a piece of furniture, in place."""
    side = room.shape[0]
    width, height = (int(side * random.uniform(0.08, 0.3)) for _ in range(2))
    x = int(random.integers(0, side - width))
    y = floor - height + int(side * random.uniform(-0.4, 0.1))
    corners = (x, y), (x + width, y + height)
    cv2.rectangle(room, *corners, [int(each) for each in random.integers(0, 255, 3)], -1)
    cv2.rectangle(room, *corners, [int(each) for each in random.integers(0, 120, 3)], side // 100)


def steady(_t_s: float, _height: int, _width: int) -> Array:
    """Light that does nothing."""
    return np.ones((1, 1, 1), np.float32)


def flickering(t_s: float, height: int, _width: int) -> Array:
    """Lamps on the mains: 12 % beats, and bands that roll through the picture."""
    beat = 0.12 * np.sin(2 * np.pi * 3.3 * t_s)
    bands = 0.10 * np.sin(2 * np.pi * (np.linspace(0, 2, height) + 0.7 * t_s))
    return np.float32(1 + beat + bands)[:, None, None]


def switched(t_s: float, height: int, width: int) -> Array:
    """Two lamps in different places and colours, switched every 11 and 17 seconds.

    The camera makes up for half of it, in a second.
    """
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    left = np.exp(-((x - 0.1) ** 2 + (y - 0.1) ** 2) / 0.5)[..., None] * np.array([1.2, 0.9, 0.6])
    right = np.exp(-((x - 0.9) ** 2 + (y - 0.3) ** 2) / 0.4)[..., None] * np.array([0.7, 0.9, 1.2])
    amounts = []
    for period_s in (11.0, 17.0):
        phase = t_s % (2 * period_s)
        on = phase < period_s
        settled = 1 - np.exp(-(phase % period_s) / 1.0)
        amounts.append((1.0 if on else 0.1) * (1 + (0.3 if not on else -0.2) * settled))
    return np.float32(0.15 + amounts[0] * left + amounts[1] * right)


def glowing(t_s: float, height: int, width: int) -> Array:
    """A screen beside the camera; its picture changes slowly and, four times a second, at once."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / max(height, width)
    slow, quick = t_s / 7, np.random.default_rng(int(t_s * 4)).uniform(0, 1, 5)
    place = 0.5 + 0.4 * np.sin(2 * np.pi * slow), 0.4 + 0.3 * quick[3]
    near = np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / 0.3)[..., None]
    hue = 0.5 + 0.5 * np.sin(2 * np.pi * (slow * 1.7 + np.array([0, 1 / 3, 2 / 3])))
    return np.float32(0.5 + near * (0.3 * hue + 0.3 * quick[:3]))


def drifting(t_s: float, _height: int, _width: int) -> Array:
    """A camera that hunts for its exposure and its white."""
    stops = 0.7 * np.sin(2 * np.pi * t_s / 9) + 0.2 * np.sin(2 * np.pi * t_s / 1.3)
    white = 1 + 0.15 * np.sin(2 * np.pi * t_s / 13 + np.array([0, 2, 4]))
    return np.float32(2**stops * white)[None, None]


LIGHTS: dict[str, Light] = {
    "steady": steady,
    "mains flicker": flickering,
    "lamps switched": switched,
    "screen's glow": glowing,
    "camera hunting": drifting,
}


def filmed(
    scene: Callable[[float], Array],
    seconds: float,
    light: Light = steady,
    rate_hz: float = 15,
    noise: float = 1.0,
    stops: float = 0,
    seed: int = 0,
    begin_s: float = 0,
) -> Iterator[Shown]:
    """What a camera sees of a scene: seconds -> uint8 (h, w, 3), under a light."""
    random = np.random.default_rng(seed)
    for index in range(round(seconds * rate_hz)):
        t_s = begin_s + index / rate_hz
        picture = scene(t_s)
        shining = linear(picture) * light(t_s, *picture.shape[:2])
        yield exposed(shining, random, noise, stops), round(t_s * 1e9) + 10**9
