"""The walls before which scenes take place."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from ytm_device.camera.figure import Colour

Pixels = npt.NDArray[np.uint8]

_FLOOR_LINE = 0.86


def paint_wall(
    kind: str, wall: Colour, floor: Colour, size: tuple[int, int], rng: np.random.Generator
) -> Pixels:
    """Paint an empty room.

    Args:
        kind: one of `ytm_training.scenes.scene.WALLS`.
        wall: colour of the wall.
        floor: colour of the floor.
        size: width and height in pixels.
        rng: for the details.

    Returns:
        uint8 (height, width, 3) RGB.
    """
    width, height = size
    room = np.empty((height, width, 3), np.uint8)
    room[:] = wall
    if kind == "stripes":
        _stripes(room, int(rng.integers(6, 20)))
    elif kind == "panels":
        _panels(room, wall, int(rng.integers(2, 6)))
    elif kind == "curtain":
        _curtain(room, float(rng.uniform(5, 14)))
    elif kind == "shelves":
        _shelves(room, wall, rng)
    line = round(_FLOOR_LINE * height)
    room[line:] = floor
    room[line - max(1, height // 50) : line] = _toned(wall, 1.2)
    return room


def _toned(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255, round(part * factor)) for part in colour)
    return red, green, blue


def _stripes(room: Pixels, count: int) -> None:
    across = np.arange(room.shape[1]) * count // room.shape[1] % 2 == 1
    room[:, across] = (room[:, across] * 0.82).astype(np.uint8)


def _curtain(room: Pixels, folds: float) -> None:
    across = np.linspace(0, 2 * np.pi * folds, room.shape[1])
    shade = 0.85 + 0.15 * np.sin(across + 0.8 * np.sin(across * 0.37))
    room[:] = (room * shade[None, :, None]).astype(np.uint8)


def _panels(room: Pixels, wall: Colour, count: int) -> None:
    height, width = room.shape[:2]
    line = _toned(wall, 0.72)
    for number in range(count):
        left, right = ((number + edge) * width / count for edge in (0.12, 0.88))
        corners = (round(left), round(0.12 * height)), (round(right), round(0.74 * height))
        cv2.rectangle(room, *corners, line, max(1, height // 120), cv2.LINE_AA)


def _shelves(room: Pixels, wall: Colour, rng: np.random.Generator) -> None:
    """Rows of books."""
    height, width = room.shape[:2]
    wood = _toned(wall, 0.55)
    for shelf in (0.28, 0.55, 0.82):
        bottom = round(shelf * height)
        left = 0.0
        while left < width:
            thick = width * rng.uniform(0.015, 0.05)
            top = bottom - round(height * rng.uniform(0.10, 0.2))
            if rng.random() < 0.75:
                book = tuple(int(part) for part in rng.integers(50, 210, 3))
                corners = (round(left), top), (round(left + thick) - 1, bottom)
                cv2.rectangle(room, *corners, book, -1)
            left += thick
        cv2.rectangle(room, (0, bottom), (width, bottom + max(1, height // 60)), wood, -1)
