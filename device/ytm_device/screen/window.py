"""The screen, through SDL. The only module that imports pygame."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np

from ytm_bundle.errors import DeviceError
from ytm_device.screen.outlets import SESSIONS, Outlet, Places, outlets, session, why_none
from ytm_device.screen.picture import Enlarger, Pixels, Shift
from ytm_device.screen.presenter import Happened, Presenter
from ytm_device.settings.model import ScreenSettings

os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")

import pygame

HEADLESS_SIZE = (1080, 1920)
"""Width and height of the screen that nobody sees."""
WINDOW_SIZE = (540, 960)
"""Width and height that a window opens with."""
TITLE = "YouTube Mirror"
_DRIVER_SETTING = "SDL_VIDEODRIVER"
_HEADLESS_DRIVERS = ("offscreen", "dummy")
_BYTES_PER_PIXEL = 4
_BLACK = (0, 0, 0)


class SdlPresenter(Presenter):
    """A screen, a window on it, or memory that nobody sees."""

    def __init__(self, outlet: Outlet, window: bool = False) -> None:
        """Take the whole screen of `outlet`, or with `window` a window on it.

        Raises:
            DeviceError: there is no screen, or its pixels are not of 32 bits.
        """
        with _environment(_settings(outlet)):
            self.driver = _started(outlet)
            try:
                self._surface = _opened(outlet, window)
                self._order = _byte_order(self._surface)
            except DeviceError:
                pygame.display.quit()
                raise

    @property
    def size(self) -> tuple[int, int]:
        """See `Presenter.size`."""
        return self._surface.get_size()

    def show(self, image: Pixels, enlarger: Enlarger, shift: Shift) -> None:
        """See `Presenter.show`."""
        # Reordering the small picture and enlarging it straight into the screen's memory saves a
        # pass over the large one.
        ordered = np.zeros((*image.shape[:2], _BYTES_PER_PIXEL), np.uint8)
        ordered[..., self._order] = image
        enlarger.render_into(ordered, self._pixels(), shift)
        _flip()

    def darken(self) -> None:
        """See `Presenter.darken`. SDL cannot put a display to sleep: it shows black."""
        self._surface.fill(_BLACK)
        _flip()

    def poll(self) -> Happened:
        """See `Presenter.poll`."""
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
    usual, places = ScreenSettings(), Places()
    why = why_none(usual, places)
    for outlet in outlets(usual, os.environ, places):
        if outlet.kind == "framebuffer":
            return True, str(outlet)
        try:
            return True, _about(outlet)
        except DeviceError as error:
            why = str(error)
    return False, why


def _about(outlet: Outlet) -> str:
    with _environment(_settings(outlet)):
        driver = _started(outlet)
    try:
        width, height = pygame.display.get_desktop_sizes()[0]
    finally:
        pygame.display.quit()
    return f"{driver}, {width}x{height}"


def _settings(outlet: Outlet) -> dict[str, str]:
    """How SDL is told what to open: it has no other way to ask. What is set already stays."""
    # Without a GPU, SDL flips a window through a software OpenGL: 19 ms instead of 0.06.
    plain = {"SDL_FRAMEBUFFER_ACCELERATION": "0"}
    if outlet.kind == "offscreen":
        return {_DRIVER_SETTING: _HEADLESS_DRIVERS[0]} | plain
    if outlet.connector is None:
        wanted = {_DRIVER_SETTING: _desktop_drivers()} | plain
    else:
        wanted = {
            _DRIVER_SETTING: "kmsdrm",
            "SDL_KMSDRM_DEVICE_INDEX": str(outlet.connector.card),
            # KMSDRM has nothing but OpenGL, and flips at the display's own rate.
            "SDL_RENDER_VSYNC": "1",
        }
    return {name: os.environ.get(name) or value for name, value in wanted.items()}


def _desktop_drivers() -> str:
    """SDL's drivers for the sessions there are; it would try a bare screen next."""
    return ",".join(driver for name, driver in SESSIONS.items() if os.environ.get(name))


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _started(outlet: Outlet) -> str:
    """Start SDL's display, and no more: all of pygame would also take the sound card."""
    try:
        pygame.display.init()
    except pygame.error as error:
        raise DeviceError(f"screen: SDL cannot start ({error}); {_remedy(outlet)}") from error
    driver = pygame.display.get_driver()
    if outlet.kind != "offscreen" and driver in _HEADLESS_DRIVERS:
        pygame.display.quit()
        raise DeviceError(f"screen: {_DRIVER_SETTING}={driver} shows nothing; unset it")
    return driver


def _opened(outlet: Outlet, window: bool) -> pygame.Surface:
    size, flags = (0, 0), pygame.FULLSCREEN
    if outlet.kind == "offscreen":
        size, flags = HEADLESS_SIZE, 0
    elif window:
        size, flags = WINDOW_SIZE, pygame.RESIZABLE
    try:
        surface = pygame.display.set_mode(size, flags)
        pygame.display.set_caption(TITLE)
        pygame.display.set_allow_screensaver(False)
        pygame.mouse.set_visible(False)
    except pygame.error as error:
        raise DeviceError(f"screen: SDL cannot open it ({error}); {_remedy(outlet)}") from error
    return surface


def _remedy(outlet: Outlet) -> str:
    """What to do where SDL does not open `outlet`, whose settings are in force."""
    driver = os.environ[_DRIVER_SETTING]
    if outlet.connector is not None:
        return f"{outlet}: nobody else may hold the card, and its user needs the group video"
    if driver != _desktop_drivers():
        return f"{_DRIVER_SETTING}={driver} shows nothing; unset it"
    return f"{session(os.environ)} cannot be reached; start a desktop session there or unset it"


def _byte_order(surface: pygame.Surface) -> list[int]:
    """Which byte of a pixel holds red, green and blue."""
    if surface.get_bytesize() != _BYTES_PER_PIXEL:
        raise DeviceError(
            f"screen: {surface.get_bitsize()} bits a pixel; set the display to 24 or 32 bits"
        )
    return [shift // 8 for shift in surface.get_shifts()[:3]]


def _flip() -> None:
    try:
        pygame.display.flip()
    except pygame.error as error:
        raise DeviceError(f"screen: SDL shows no more ({error})") from error
