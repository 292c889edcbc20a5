from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pygame
import pytest

from waiting import wait_for
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen.outlets import Connector, Outlet
from ytm_device.screen.picture import UNMOVED, Enlarger
from ytm_device.screen.window import (
    HEADLESS_SIZE,
    WINDOW_SIZE,
    SdlPresenter,
    display_available,
)

DESKTOP = Outlet("desktop")
SQUEEZE = ImageSpec(width=16, height=16, fit="squeeze")


@pytest.fixture
def no_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)


def _quarters() -> np.ndarray:
    """uint8 (16, 16, 3): red, green above blue, white."""
    picture = np.zeros((16, 16, 3), np.uint8)
    picture[:8, :8] = (255, 0, 0)
    picture[:8, 8:] = (0, 255, 0)
    picture[8:, :8] = (0, 0, 255)
    picture[8:, 8:] = (255, 255, 255)
    return picture


def _event(window: SdlPresenter, happened: str) -> bool:
    return bool(getattr(window.poll(), happened))


def test_the_whole_screen_shows_the_mirrored_picture(screen: Any) -> None:
    with SdlPresenter(DESKTOP) as window:
        assert window.driver == "x11"
        assert window.size == screen.pixels().shape[1::-1]
        enlarger = Enlarger(SQUEEZE, *window.size)
        wait_for(lambda: _event(window, "uncovered"))
        window.show(_quarters(), enlarger, UNMOVED)
        expected = enlarger.render(_quarters())
        wait_for(lambda: np.abs(screen.pixels().astype(int) - expected).max() <= 1)


def test_a_dark_screen_is_black_until_the_next_picture(screen: Any) -> None:
    with SdlPresenter(DESKTOP) as window:
        enlarger = Enlarger(SQUEEZE, *window.size, 180, 4)
        wait_for(lambda: _event(window, "uncovered"))
        window.show(_quarters(), enlarger, (3, -2))
        expected = enlarger.render(_quarters(), (3, -2))
        wait_for(lambda: np.abs(screen.pixels().astype(int) - expected).max() <= 1)
        window.darken()
        wait_for(lambda: not screen.pixels().any())
        window.show(_quarters(), enlarger, (3, -2))
        wait_for(lambda: screen.pixels().any())


def test_the_pointer_is_hidden(screen: Any) -> None:
    with SdlPresenter(DESKTOP):
        assert not pygame.mouse.get_visible()


@pytest.mark.filterwarnings("ignore:Please use Window.get_surface:DeprecationWarning")
@pytest.mark.parametrize("size", [(123, 77), (1, 1)])
def test_a_window_can_be_resized(screen: Any, size: tuple[int, int]) -> None:
    with SdlPresenter(DESKTOP, window=True) as window:
        assert window.size == WINDOW_SIZE
        wait_for(lambda: _event(window, "uncovered"))
        pygame.Window.from_display_module().size = size
        wait_for(lambda: _event(window, "uncovered") and window.size == size)
        window.show(_quarters(), Enlarger(SQUEEZE, *size), UNMOVED)


@pytest.mark.parametrize(
    "event",
    [
        pygame.event.Event(pygame.KEYDOWN, key=pygame.K_ESCAPE),
        pygame.event.Event(pygame.QUIT),
    ],
    ids=["escape", "close"],
)
def test_people_can_leave(no_screen: None, event: pygame.event.Event) -> None:
    with SdlPresenter(Outlet("offscreen")) as window:
        assert not window.poll().leave
        pygame.event.post(pygame.event.Event(pygame.KEYDOWN, key=pygame.K_SPACE))
        assert not window.poll().leave
        pygame.event.post(event)
        assert window.poll().leave
        assert not window.poll().leave


def test_without_a_screen_pictures_are_drawn_in_memory(no_screen: None) -> None:
    with SdlPresenter(Outlet("offscreen")) as window:
        assert window.driver == "offscreen"
        assert window.size == HEADLESS_SIZE
        enlarger = Enlarger(SQUEEZE, *window.size)
        window.show(_quarters(), enlarger, UNMOVED)
        drawn = pygame.surfarray.array3d(pygame.display.get_surface()).swapaxes(0, 1)
        assert np.abs(drawn.astype(int) - enlarger.render(_quarters())).max() <= 1
    assert "SDL_VIDEODRIVER" not in os.environ


def test_only_the_display_is_started(no_screen: None) -> None:
    """All of pygame would take the sound card too."""
    with SdlPresenter(Outlet("offscreen")):
        assert pygame.display.get_init()
        assert not pygame.get_init()
        assert pygame.mixer.get_init() is None
    assert not pygame.display.get_init()


def test_a_screen_is_found_without_opening_a_window(screen: Any) -> None:
    found, which = display_available()
    height, width = screen.pixels().shape[:2]
    assert (found, which) == (True, f"x11, {width}x{height}")
    assert not pygame.display.get_init()


@pytest.mark.parametrize(
    ("setting", "complaint"),
    [
        ({"DISPLAY": ":54321"}, "DISPLAY=:54321 cannot be reached"),
        ({"DISPLAY": ":0", "SDL_VIDEODRIVER": "dummy"}, "SDL_VIDEODRIVER=dummy shows nothing"),
        ({"DISPLAY": ":0", "SDL_VIDEODRIVER": "nonsense"}, "SDL_VIDEODRIVER=nonsense"),
    ],
)
def test_a_missing_screen_says_why(
    no_screen: None,
    monkeypatch: pytest.MonkeyPatch,
    setting: dict[str, str],
    complaint: str,
) -> None:
    for name, value in setting.items():
        monkeypatch.setenv(name, value)
    found, why = display_available()
    assert not found
    assert complaint in why
    with pytest.raises(DeviceError, match=complaint):
        SdlPresenter(DESKTOP)
    assert not pygame.display.get_init()


def test_no_screen_at_all_says_what_to_do(no_screen: None) -> None:
    found, why = display_available()
    if found:
        pytest.skip(f"this machine has a screen: {why}")
    assert "connect a screen" in why


def test_without_a_card_kmsdrm_says_what_it_needs(no_screen: None) -> None:
    """Where there is a card, nobody may take it from a test."""
    if Path("/dev/dri").exists():
        pytest.skip("this machine has a graphics card")
    outlet = Outlet("kmsdrm", Connector(1, "HDMI-A-2", "connected", "1920x1080"))
    with pytest.raises(DeviceError, match=r"kmsdrm \(HDMI-A-2, 1920x1080\).*group video"):
        SdlPresenter(outlet)
    assert not pygame.display.get_init()
    assert not {"SDL_VIDEODRIVER", "SDL_KMSDRM_DEVICE_INDEX", "SDL_RENDER_VSYNC"} & {*os.environ}
