from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fake_framebuffer import FakeFramebuffer
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen import framebuffer
from ytm_device.screen.attempts import MOST, RETRIED_AFTER_S, Attempts
from ytm_device.screen.display import (
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    LOOK_EVERY_S,
    Display,
)
from ytm_device.screen.outlets import Outlet, Places
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.presenter import Presenter
from ytm_device.screen.window import SdlPresenter
from ytm_device.settings.model import ScreenSettings

S = 1_000_000_000
SPEC = ImageSpec(width=16, height=16, fit="squeeze")
RECOVERY_S = 5.0


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Places:
    """A board with nothing connected, and no desktop."""
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sys/class/drm").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    return Places(tmp_path / "sys", tmp_path / "dev")


@pytest.fixture
def fake(places: Places, monkeypatch: pytest.MonkeyPatch) -> FakeFramebuffer:
    """A framebuffer that is not there yet."""
    fake = FakeFramebuffer(places.framebuffer)
    monkeypatch.setattr(framebuffer.fcntl, "ioctl", fake.ioctl)
    return fake


def _plug(places: Places, status: str) -> None:
    folder = places.sys / "class/drm/card7-HDMI-A-1"
    folder.mkdir(exist_ok=True)
    (folder / "status").write_text(f"{status}\n")
    (folder / "modes").write_text("1920x1080\n")


def _picture() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (16, 16, 3), np.uint8)


def _shows(fake: FakeFramebuffer, expected: np.ndarray) -> bool:
    """Within one step: OpenCV rounds four channels otherwise than three."""
    return bool(np.abs(fake.picture().astype(int) - expected).max() <= 1)


def _display(places: Places, **settings: Any) -> Display:
    return Display(SPEC, ScreenSettings(**settings), places=places)


def _seconds_until_open(display: Display, begin_s: float) -> float:
    """Let the clock run in turns of the display until a screen is open."""
    turn = 0
    while not display.attend(round(begin_s * S) + turn * S // 60):
        turn += 1
        assert turn < 60 * 60
    return turn / 60


def test_a_display_that_comes_later_is_used(places: Places, fake: FakeFramebuffer) -> None:
    with _display(places) as display:
        for second in range(100, 160):
            assert not display.attend(second * S)
            assert not display.show(_picture(), (0, 0))
        assert (display.driver, display.size) == ("none", None)
        assert "no display found" in str(display.problem)
        fake.plug()
        assert _seconds_until_open(display, 160) <= RECOVERY_S
        assert (display.driver, display.size) == ("framebuffer", (60, 80))
        assert display.problem is None
        assert display.show(_picture(), (0, 0))
        assert _shows(fake, Enlarger(SPEC, 60, 80, 0, 4).render(_picture()))


def test_a_display_that_goes_and_comes_back_is_used_again(
    places: Places, fake: FakeFramebuffer
) -> None:
    fake.plug()
    with _display(places) as display:
        assert display.attend(0)
        for turn in range(1, 20):
            begin_s = 100.0 * turn
            fake.path.unlink()
            assert not display.attend(round(begin_s * S))
            assert (display.driver, display.size) == ("none", None)
            assert "no display found" in str(display.problem)
            fake.plug()
            assert _seconds_until_open(display, begin_s) <= RECOVERY_S
            assert display.show(_picture(), (0, 0))
            assert fake.picture().any()


def test_a_display_that_fails_while_it_shows_is_let_go(
    places: Places, fake: FakeFramebuffer
) -> None:
    fake.plug()
    with _display(places) as display:
        assert display.attend(0)
        fake.broken = True
        display.poll()
        assert display.driver == "none"
        assert "No such device" in str(display.problem)
        assert not display.show(_picture(), (0, 0))
        fake.broken = False
        assert _seconds_until_open(display, 10) <= RECOVERY_S


def test_another_mode_is_opened_anew(places: Places, fake: FakeFramebuffer) -> None:
    fake.plug()
    with _display(places) as display:
        display.attend(0)
        display.show(_picture(), (0, 0))
        fake.width, fake.height = 40, 30
        display.poll()
        assert _seconds_until_open(display, 1) <= RECOVERY_S
        assert display.size == (40, 30)
        assert display.show(_picture(), (0, 0))
        assert _shows(fake, Enlarger(SPEC, 40, 30, 0, 4).render(_picture()))


def test_tries_are_bounded_in_number_and_in_distance(places: Places, fake: FakeFramebuffer) -> None:
    fake.plug()
    fake.broken = True
    tries: list[float] = []
    with _display(places) as display:
        for turn in range(60 * 60):
            before = display._try_ns
            display.attend(turn * S // 60)
            if display._try_ns != before:
                tries.append(turn / 60)
    pauses = np.diff(tries)
    assert pauses[0] == pytest.approx(FIRST_PAUSE_S, abs=LOOK_EVERY_S)
    assert pauses.max() <= LONGEST_PAUSE_S + LOOK_EVERY_S
    assert len(tries) <= 2 + 60 / LONGEST_PAUSE_S


def test_where_kmsdrm_cannot_be_had_the_framebuffer_shows(
    places: Places, fake: FakeFramebuffer
) -> None:
    """SDL's own code looks for the card, which is not there."""
    _plug(places, "connected")
    fake.plug()
    with _display(places) as display:
        assert display.attend(0)
        assert display.driver == "framebuffer"
        assert "kmsdrm" in str(display.problem)
        assert "HDMI-A-1" in str(display.problem)
        _plug(places, "disconnected")
        display.attend(S)
        assert display.driver == "none"
        assert "no display is connected (HDMI-A-1 empty)" in str(display.problem)
        _plug(places, "connected")
        assert _seconds_until_open(display, 2) <= RECOVERY_S
    assert "SDL_VIDEODRIVER" not in os.environ
    assert "SDL_KMSDRM_DEVICE_INDEX" not in os.environ


def test_a_display_that_cannot_be_opened_is_no_error(places: Places) -> None:
    _plug(places, "connected")
    with _display(places, output="sdl") as display:
        for second in range(30):
            assert not display.attend(second * S)
        assert "kmsdrm (HDMI-A-1, 1920x1080)" in str(display.problem)
        assert "group video" in str(display.problem)


def test_closed_hours_are_dark_and_no_problem(places: Places, fake: FakeFramebuffer) -> None:
    fake.plug()
    with _display(places) as display:
        display.attend(0)
        display.show(_picture(), (0, 0))
        display.rest()
        assert not fake.picture().any()
        assert display.problem is None
        assert not display.attend(S)
        assert display.show(_picture(), (0, 0))
        assert fake.picture().any()


def test_a_display_gone_in_closed_hours_is_found_out_at_their_end(
    places: Places, fake: FakeFramebuffer
) -> None:
    fake.plug()
    with _display(places) as display:
        display.attend(0)
        display.rest()
        fake.path.unlink()
        display.rest()
        assert display.problem is None
        assert not display.attend(1)
        assert "no display found" in str(display.problem)


def test_settings_are_taken_up_while_it_shows(places: Places, fake: FakeFramebuffer) -> None:
    fake.plug()
    with _display(places, shift_px=0) as display:
        display.attend(0)
        assert not display.adopt(SPEC, ScreenSettings(shift_px=0))
        assert display.adopt(SPEC, ScreenSettings(shift_px=0, rotation=90))
        assert display.driver == "framebuffer"
        display.show(_picture(), (0, 0))
        turned = Enlarger(SPEC, 60, 80, 90).render(_picture())
        assert _shows(fake, turned)
        crop = ImageSpec(width=16, height=16, fit="crop")
        assert display.adopt(crop, ScreenSettings(shift_px=0, rotation=90))
        display.show(_picture(), (0, 0))
        assert _shows(fake, Enlarger(crop, 60, 80, 90).render(_picture()))
        assert display.adopt(crop, ScreenSettings(output="sdl"))
        assert display.driver == "none"
        assert not display.attend(1)
        assert display.adopt(crop, ScreenSettings(output="framebuffer"))
        assert display.attend(2)


def test_headless_it_draws_into_memory(places: Places, fake: FakeFramebuffer) -> None:
    fake.plug()
    with Display(SPEC, ScreenSettings(), headless=True, places=places) as display:
        assert display.attend(0)
        assert (display.driver, display.size) == ("offscreen", (1080, 1920))
        assert display.show(_picture(), (0, 0))


def test_a_thousand_displays_come_and_go(places: Places, fake: FakeFramebuffer) -> None:
    """Descriptors and mappings are given back."""

    def held() -> tuple[int, int]:
        maps = Path("/proc/self/maps").read_text().count(str(fake.path))
        return len(list(Path("/proc/self/fd").iterdir())), maps

    with _display(places) as display:
        display.attend(0)
        before = held()
        for turn in range(1000):
            fake.plug()
            display.attend((2 * turn + 1) * S)
            assert display.show(_picture(), (0, 0))
            fake.path.unlink()
            display.attend((2 * turn + 2) * S)
        assert display.driver == "none"
        assert held() == before


DYING = """
import os, sys
from pathlib import Path
from ytm_bundle.manifest import ImageSpec
from ytm_device.screen import display
from ytm_device.screen.outlets import Places
from ytm_device.settings.model import ScreenSettings
display.SdlPresenter = lambda outlet: os.abort()
places, run_dir = Places(Path(sys.argv[1]), Path(sys.argv[2])), Path(sys.argv[3])
image = ImageSpec(width=16, height=16, fit="squeeze")
display.Display(image, ScreenSettings(), places=places, run_dir=run_dir).attend(0)
"""


def _die_while_opening(places: Places, run_dir: Path) -> None:
    """As a service does whose graphics driver crashes."""
    words = [sys.executable, "-c", DYING, str(places.sys), str(places.dev), str(run_dir)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGABRT


def test_a_driver_that_crashes_twice_is_passed_over_for_a_while(
    places: Places, fake: FakeFramebuffer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = []

    def refuse(outlet: Outlet) -> Presenter:
        tried.append(outlet.kind)
        raise DeviceError("planted")

    monkeypatch.setattr("ytm_device.screen.display.SdlPresenter", refuse)
    _plug(places, "connected")
    fake.plug()
    _die_while_opening(places, tmp_path)
    with Display(SPEC, ScreenSettings(), places=places, run_dir=tmp_path) as display:
        assert display.attend(0)
    assert tried == ["kmsdrm"], "one crash may be anybody's fault"
    for _ in range(MOST):
        _die_while_opening(places, tmp_path)
    with Display(SPEC, ScreenSettings(), places=places, run_dir=tmp_path) as display:
        assert display.attend(0)
        assert display.driver == "framebuffer"
        assert f"{MOST} processes ended" in str(display.problem)
    assert tried == ["kmsdrm"]
    mark = next(tmp_path.glob("*.opening"))
    with Display(SPEC, ScreenSettings(), places=places, run_dir=tmp_path) as display:
        assert display.attend(round((RETRIED_AFTER_S + 1) * S))
    assert tried == ["kmsdrm", "kmsdrm"]
    assert not mark.exists(), "it was refused, and nothing crashed"


@pytest.mark.parametrize("text", ["", "many", "-9", "9", "9 soon", "9 9 9", "9" * 99])
def test_a_mark_that_is_none_hinders_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "screen.opening").write_text(text)
    assert Attempts(tmp_path).why_not(0) is None


def test_a_picture_that_is_shown_takes_the_mark_away(
    places: Places, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offscreen = SdlPresenter(Outlet("offscreen"))
    monkeypatch.setattr("ytm_device.screen.display.SdlPresenter", lambda outlet: offscreen)
    _plug(places, "connected")
    with Display(SPEC, ScreenSettings(), places=places, run_dir=tmp_path) as display:
        assert display.attend(0)
        assert list(tmp_path.glob("*.opening"))
        assert display.show(_picture(), (0, 0))
        assert not list(tmp_path.glob("*.opening"))
