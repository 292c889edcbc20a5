from __future__ import annotations

from pathlib import Path

import pytest

from ytm_device.screen.outlets import Connector, Outlet, Places, outlets, session, why_none
from ytm_device.settings.model import ScreenSettings

AUTO = ScreenSettings()
HDMI = Outlet("kmsdrm", Connector(1, "HDMI-A-2", "connected", "1920x1080"))
FRAMEBUFFER, DESKTOP = Outlet("framebuffer"), Outlet("desktop")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """A board with nothing in it."""
    (tmp_path / "sys/class/drm").mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    return Places(tmp_path / "sys", tmp_path / "dev")


def _plug(places: Places, connector: str, status: str, *modes: str) -> None:
    folder = places.sys / "class/drm" / connector
    folder.mkdir(exist_ok=True)
    (folder / "status").write_text(f"{status}\n")
    (folder / "modes").write_text("".join(f"{mode}\n" for mode in modes))


def test_a_connected_display_is_found_by_its_state_and_not_by_its_number(places: Places) -> None:
    _plug(places, "card0-DP-1", "disconnected")
    _plug(places, "card1-HDMI-A-1", "disconnected")
    _plug(places, "card1-HDMI-A-2", "connected", "1920x1080", "1280x720")
    _plug(places, "card1-Writeback-1", "unknown")
    (places.sys / "class/drm/renderD128").mkdir()
    (places.sys / "class/drm/version").touch()
    assert outlets(AUTO, {}, places) == [HDMI]


def test_the_framebuffer_comes_after_kmsdrm(places: Places) -> None:
    _plug(places, "card1-HDMI-A-2", "connected", "1920x1080")
    places.framebuffer.touch()
    assert outlets(AUTO, {}, places) == [HDMI, FRAMEBUFFER]


@pytest.mark.parametrize("status", ["unknown", None])
def test_the_framebuffer_is_used_where_nobody_knows_what_is_connected(
    places: Places, status: str | None
) -> None:
    places.framebuffer.touch()
    if status is not None:
        _plug(places, "card0-DSI-1", status)
    assert outlets(AUTO, {}, places) == [FRAMEBUFFER]


def test_a_framebuffer_that_nobody_can_see_is_no_way(places: Places) -> None:
    places.framebuffer.touch()
    _plug(places, "card0-HDMI-A-1", "disconnected")
    assert outlets(AUTO, {}, places) == []
    assert "no display is connected (HDMI-A-1 empty)" in why_none(AUTO, places)


def test_another_display_in_the_same_socket_is_another_outlet(places: Places) -> None:
    _plug(places, "card0-HDMI-A-1", "connected", "1920x1080")
    first = outlets(AUTO, {}, places)
    assert outlets(AUTO, {}, places) == first
    _plug(places, "card0-HDMI-A-1", "connected", "3840x2160")
    assert outlets(AUTO, {}, places) != first


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"DISPLAY": ":0"}, "DISPLAY=:0"),
        ({"WAYLAND_DISPLAY": "wayland-1", "DISPLAY": ":0"}, "WAYLAND_DISPLAY=wayland-1"),
        ({"DISPLAY": ""}, ""),
    ],
)
def test_a_desktop_session_is_the_only_way(
    places: Places, environment: dict[str, str], named: str
) -> None:
    _plug(places, "card1-HDMI-A-2", "connected", "1920x1080")
    assert session(environment) == named
    assert outlets(AUTO, environment, places) == ([DESKTOP] if named else [HDMI])


def test_what_is_wished_for_is_the_only_way(places: Places) -> None:
    _plug(places, "card1-HDMI-A-2", "connected", "1920x1080")
    places.framebuffer.touch()
    framebuffer = ScreenSettings(output="framebuffer")
    assert outlets(framebuffer, {"DISPLAY": ":0"}, places) == [FRAMEBUFFER]
    assert outlets(ScreenSettings(output="sdl"), {}, places) == [HDMI]
    assert outlets(ScreenSettings(output="sdl"), {"DISPLAY": ":0"}, places) == [DESKTOP]
    assert outlets(ScreenSettings(window=True), {}, places) == [DESKTOP]
    # A panel that is no connector.
    _plug(places, "card1-HDMI-A-2", "disconnected")
    assert outlets(framebuffer, {}, places) == [FRAMEBUFFER]
    places.framebuffer.unlink()
    assert outlets(framebuffer, {}, places) == []
    assert "fb0 is not there" in why_none(framebuffer, places)


def test_nothing_at_all_says_what_to_do(tmp_path: Path) -> None:
    nowhere = Places(tmp_path / "no-sys", tmp_path / "no-dev")
    assert outlets(AUTO, {}, nowhere) == []
    assert "connect a screen" in why_none(AUTO, nowhere)


def test_a_connector_that_vanishes_meanwhile_is_not_connected(places: Places) -> None:
    (places.sys / "class/drm/card0-HDMI-A-1").mkdir()
    assert places.connectors() == [Connector(0, "HDMI-A-1", "", "")]
