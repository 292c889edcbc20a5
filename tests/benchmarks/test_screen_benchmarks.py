"""The model's picture to a portrait screen, beside ways that give nearly the same."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pygame
import pytest

from ytm_bundle.manifest import ImageSpec
from ytm_device.screen.picture import Enlarger

WIDTH, HEIGHT, SIDE = 1080, 1920, 112


def _ours(fit: str) -> Callable[[np.ndarray], np.ndarray]:
    enlarger = Enlarger(ImageSpec(width=SIDE, height=SIDE, fit=fit), WIDTH, HEIGHT)
    return enlarger.render


def _flipped_large() -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: cv2.flip(
        cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 1
    )


def _smoothscale() -> Callable[[np.ndarray], np.ndarray]:
    screen = pygame.Surface((WIDTH, HEIGHT), depth=32)

    def render(image: np.ndarray) -> np.ndarray:
        small = pygame.image.frombuffer(np.ascontiguousarray(image[:, ::-1]), (SIDE, SIDE), "RGB")
        pygame.transform.smoothscale(small.convert(screen), (WIDTH, HEIGHT), screen)
        return pygame.surfarray.pixels3d(screen).swapaxes(0, 1)

    return render


@pytest.mark.benchmark(group="picture to screen")
@pytest.mark.parametrize(
    "make",
    [lambda: _ours("crop"), lambda: _ours("squeeze"), _flipped_large, _smoothscale],
    ids=["ours, crop", "ours, squeeze", "flipped when large", "pygame's smoothscale"],
)
def test_picture_to_screen(
    benchmark: Callable[..., np.ndarray], make: Callable[[], Callable]
) -> None:
    image = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    shown = benchmark(make(), image)
    assert shown.shape[:2] == (HEIGHT, WIDTH)
