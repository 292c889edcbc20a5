"""The screen, through SDL. The only module that imports pygame."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import DeviceError
from ytm_device.owner import Owner
from ytm_device.screen.picture import Enlarger

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
# Without a GPU, SDL otherwise flips through a software OpenGL: 19 ms instead of 0.06.
os.environ.setdefault("SDL_FRAMEBUFFER_ACCELERATION", "0")

import pygame

Pixels = npt.NDArray[np.uint8]

HEADLESS_SIZE = (1080, 1920)
"""Width and height of the screen that nobody sees."""
WINDOW_SIZE = (540, 960)
"""Width and height that a window opens with."""
TITLE = "YouTube Mirror"
_DRIVER_SETTING = "SDL_VIDEODRIVER"
_HEADLESS_DRIVERS = ("offscreen", "dummy")
_BYTES_PER_PIXEL = 4


@dataclass(frozen=True)
class Happened:
    """What the people in front of the window did to it."""

    leave: bool
    """Esc was pressed or the window closed."""
    uncovered: bool
    """It was resized or came into sight, so that what it shows must be drawn again."""


class Window(Owner):
    """A screen, a window on it, or memory that nobody sees. Made, used and closed in one thread."""

    def __init__(self, *, window: bool, headless: bool) -> None:
        """Take the whole screen, with `window` a window on it, with `headless` only memory.

        Raises:
            DeviceError: there is no screen, or its pixels are not of 32 bits.
        """
        with _driver(_HEADLESS_DRIVERS[0] if headless else None):
            driver = _start_display()
        if not headless and driver in _HEADLESS_DRIVERS:
            pygame.display.quit()
            raise DeviceError(f"screen: {_why_missing()}")
        try:
            self._surface = _open_surface(window, headless)
            self._order = _byte_order(self._surface)
        except DeviceError:
            pygame.display.quit()
            raise
        self.driver = driver
        """SDL's name for what shows the pixels."""

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, at least 1; a window's may change at each `poll`."""
        return self._surface.get_size()

    def show(self, image: Pixels, enlarger: Enlarger) -> None:
        """Show uint8 (h, w, 3), RGB, as `enlarger`, made for this `size`, enlarges it."""
        # Reordering the small picture and enlarging it straight into the screen's memory saves a
        # pass over the large one.
        ordered = np.zeros((*image.shape[:2], _BYTES_PER_PIXEL), np.uint8)
        ordered[..., self._order] = image
        enlarger.render_into(ordered, self._pixels())
        pygame.display.flip()

    def poll(self) -> Happened:
        """Take in what happened since the last call. Never waits."""
        leave = uncovered = False
        for event in pygame.event.get():
            escape = event.type == pygame.KEYDOWN and event.key == pygame.K_ESCAPE
            leave |= escape or event.type == pygame.QUIT
            uncovered |= event.type in (pygame.WINDOWEXPOSED, pygame.WINDOWSIZECHANGED)
        self._surface = pygame.display.get_surface() or self._surface
        return Happened(leave, uncovered)

    def close(self) -> None:
        """Give the screen back."""
        pygame.display.quit()

    def _pixels(self) -> Pixels:
        """The surface's memory, uint8 (height, width, 4); it stays locked while this is held."""
        rows = pygame.surfarray.pixels2d(self._surface).T.view(np.uint8)
        pixels: Pixels = rows.reshape(len(rows), -1, _BYTES_PER_PIXEL)
        return pixels


def display_available() -> tuple[bool, str]:
    """Tell whether there is a screen, and which, or why not. No window appears."""
    if not (_session() or any(Path("/dev/dri").glob("card*"))):
        return False, _why_missing()
    try:
        driver = _start_display()
    except DeviceError as error:
        return False, str(error)
    try:
        if driver in _HEADLESS_DRIVERS:
            return False, _why_missing()
        width, height = pygame.display.get_desktop_sizes()[0]
        return True, f"{driver}, {width}x{height}"
    finally:
        pygame.display.quit()


def _session() -> str:
    """The X11 or Wayland session, as NAME=VALUE; empty if there is none."""
    names = ("WAYLAND_DISPLAY", "DISPLAY")
    return next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "")


def _why_missing() -> str:
    if driver := os.environ.get(_DRIVER_SETTING):
        return f"{_DRIVER_SETTING}={driver} shows nothing; unset it"
    if session := _session():
        return f"{session} cannot be reached; start a desktop session there or unset it"
    return "no display found; connect a screen, or set DISPLAY if a desktop session is running"


@contextmanager
def _driver(name: str | None) -> Iterator[None]:
    """Make SDL start with the video driver `name`, if one is given: it has no other way to ask."""
    before = os.environ.get(_DRIVER_SETTING)
    if name is not None:
        os.environ[_DRIVER_SETTING] = name
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(_DRIVER_SETTING, None)
        else:
            os.environ[_DRIVER_SETTING] = before


def _start_display() -> str:
    """Start SDL's display, and no more: all of pygame would also take the sound card."""
    try:
        pygame.display.init()
    except pygame.error as error:
        raise DeviceError(f"screen: SDL cannot start ({error}); {_why_missing()}") from error
    return pygame.display.get_driver()


def _open_surface(window: bool, headless: bool) -> pygame.Surface:
    size, flags = (0, 0), pygame.FULLSCREEN
    if headless:
        size, flags = HEADLESS_SIZE, 0
    elif window:
        size, flags = WINDOW_SIZE, pygame.RESIZABLE
    try:
        surface = pygame.display.set_mode(size, flags)
        pygame.display.set_caption(TITLE)
        pygame.mouse.set_visible(False)
    except pygame.error as error:
        raise DeviceError(f"screen: SDL cannot open it ({error}); {_why_missing()}") from error
    return surface


def _byte_order(surface: pygame.Surface) -> list[int]:
    """Which byte of a pixel holds red, green and blue."""
    if surface.get_bytesize() != _BYTES_PER_PIXEL:
        raise DeviceError(
            f"screen: {surface.get_bitsize()} bits a pixel; set the display to 24 or 32 bits"
        )
    return [shift // 8 for shift in surface.get_shifts()[:3]]
