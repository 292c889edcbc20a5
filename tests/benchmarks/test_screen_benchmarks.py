"""The model's picture to a portrait screen, beside ways that give nearly the same; its return."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pygame
import pytest

from fake_framebuffer import FakeFramebuffer
from ytm_bundle.manifest import ImageSpec
from ytm_device.replay import Answer
from ytm_device.screen import framebuffer
from ytm_device.screen.blend import TURN_S, Blend
from ytm_device.screen.display import Display
from ytm_device.screen.outlets import Outlet, Places
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.window import SdlPresenter
from ytm_device.settings.model import ScreenSettings

WIDTH, HEIGHT, SIDE = 1080, 1920, 112
TURN_NS = round(TURN_S * 1e9)


def _image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def _ours(fit: str, rotation: int = 0, reach_px: int = 0) -> Callable[[np.ndarray], np.ndarray]:
    spec = ImageSpec(width=SIDE, height=SIDE, fit=fit)
    enlarger = Enlarger(spec, WIDTH, HEIGHT, rotation, reach_px)
    return lambda image: enlarger.render(image, (-reach_px, reach_px))


def _flipped_large() -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: cv2.flip(
        cv2.resize(image, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC), 1
    )


def _turned_large() -> Callable[[np.ndarray], np.ndarray]:
    return lambda image: cv2.rotate(
        cv2.resize(image[:, ::-1], (HEIGHT, WIDTH), interpolation=cv2.INTER_CUBIC),
        cv2.ROTATE_90_CLOCKWISE,
    )


def _warped() -> Callable[[np.ndarray], np.ndarray]:
    """Flip, enlarge and move in one step, by parts of pixels."""
    across, down = (WIDTH + 8) / SIDE, (HEIGHT + 8) / SIDE
    matrix = np.float32([[-across, 0, WIDTH + 4 - across / 2], [0, down, down / 2 - 4]])
    return lambda image: cv2.warpAffine(image, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_CUBIC)


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
    [
        lambda: _ours("crop"),
        lambda: _ours("squeeze"),
        lambda: _ours("crop", reach_px=4),
        lambda: _ours("squeeze", reach_px=4),
        lambda: _ours("squeeze", rotation=90, reach_px=4),
        _flipped_large,
        _turned_large,
        _warped,
        _smoothscale,
    ],
    ids=[
        "ours, crop",
        "ours, squeeze",
        "ours, crop, moved",
        "ours, squeeze, moved",
        "ours, squeeze, moved, turned",
        "flipped when large",
        "turned when large",
        "warped, moved",
        "pygame's smoothscale",
    ],
)
def test_picture_to_screen(
    benchmark: Callable[..., np.ndarray], make: Callable[[], Callable]
) -> None:
    shown = benchmark(make(), _image())
    assert shown.shape[:2] == (HEIGHT, WIDTH)


@pytest.fixture
def presenter(monkeypatch: pytest.MonkeyPatch) -> Iterator[SdlPresenter]:
    monkeypatch.delenv("SDL_VIDEODRIVER", raising=False)
    with SdlPresenter(Outlet("offscreen")) as presenter:
        assert presenter.size == (WIDTH, HEIGHT)
        yield presenter


@pytest.mark.benchmark(group="a flip into SDL's memory")
@pytest.mark.parametrize("fit", ["crop", "squeeze"])
@pytest.mark.parametrize("reach_px", [0, 4], ids=["unmoved", "moved"])
def test_a_flip(
    benchmark: Callable[..., None], presenter: SdlPresenter, fit: str, reach_px: int
) -> None:
    spec = ImageSpec(width=SIDE, height=SIDE, fit=fit)
    enlarger = Enlarger(spec, WIDTH, HEIGHT, 0, reach_px)
    benchmark(presenter.show, _image(), enlarger, (-reach_px, reach_px))


@pytest.mark.benchmark(group="between two reflections")
@pytest.mark.parametrize("side", [SIDE, 960], ids=["when small", "when large"])
def test_blending(benchmark: Callable[..., np.ndarray], side: int) -> None:
    blend, mel = Blend(), np.zeros((1, 1), np.float32)
    height = side * HEIGHT // WIDTH if side > SIDE else side
    first, second = (np.full((height, side, 3), value, np.uint8) for value in (0, 255))
    blend.at(0, Answer(first, mel, 0))
    answer = Answer(second, mel, 10**9)
    picture = benchmark(blend.at, 10**9, answer)
    assert 0 < picture[0, 0, 0] < 255


@pytest.mark.benchmark(group="from a display's return to its first picture (emulated framebuffer)")
def test_a_display_comes_back(
    benchmark: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    fake = FakeFramebuffer(tmp_path / "fb0")
    monkeypatch.setattr(framebuffer.fcntl, "ioctl", fake.ioctl)
    spec = ImageSpec(width=SIDE, height=SIDE, fit="squeeze")
    places, pauses = Places(tmp_path, tmp_path), np.random.default_rng(3)

    def turns(display: Display, done: Callable[[], bool]) -> None:
        while not done():
            display.attend(time.monotonic_ns())
            time.sleep(TURN_S)

    def take_away() -> None:
        fake.path.unlink(missing_ok=True)
        # Gone for long enough for every pause between two tries.
        end_s = time.monotonic() + pauses.uniform(0.5, 4)
        turns(display, lambda: time.monotonic() > end_s)
        assert display.driver == "none"

    def give_back() -> None:
        fake.plug()
        turns(display, lambda: display.show(_image(), (0, 0)))

    with Display(spec, ScreenSettings(), places=places) as display:
        benchmark.pedantic(give_back, setup=take_away, rounds=20)
