from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ytm_device.screen import terminal
from ytm_device.screen.outlets import Places
from ytm_device.screen.terminal import CLEARED, GRAPHICS, RESTORED, SET_MODE, TEXT, Terminal


@pytest.fixture
def places(tmp_path: Path) -> Places:
    tty = tmp_path / "sys/class/tty/tty0"
    tty.mkdir(parents=True)
    (tty / "active").write_text("tty3\n")
    (tmp_path / "dev").mkdir()
    return Places(tmp_path / "sys", tmp_path / "dev", tmp_path / "run")


@pytest.fixture
def console(places: Places) -> Iterator[int]:
    """The foreground console, a pseudo-terminal; what is written to it can be read here."""
    master, slave = os.openpty()
    (places.dev / "tty3").symlink_to(os.ttyname(slave))
    os.set_blocking(master, False)
    yield master
    os.close(slave)
    os.close(master)


def test_text_and_cursor_are_put_away_and_come_back(
    places: Places, console: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: list[tuple[int, int]] = []
    # A pseudo-terminal has no graphics mode.
    monkeypatch.setattr(
        terminal.fcntl, "ioctl", lambda _fd, request, mode: modes.append((request, mode))
    )
    with Terminal(places) as put_away:
        assert put_away.problem is None
        assert os.read(console, 100) == CLEARED
        assert modes == [(SET_MODE, GRAPHICS)]
    assert os.read(console, 100) == RESTORED
    assert modes == [(SET_MODE, GRAPHICS), (SET_MODE, TEXT)]
    put_away.close()


def test_a_console_without_graphics_is_said(places: Places, console: int) -> None:
    """The kernel's own answer for a terminal that is no virtual console."""
    with Terminal(places) as put_away:
        assert put_away.problem is not None
        assert "tty3 cannot be kept from drawing" in put_away.problem
        assert "TTYPath" in put_away.problem
        assert os.read(console, 100) == CLEARED


def test_a_console_that_the_board_has_put_away_is_left_alone(places: Places) -> None:
    (places.run / "ytm-console").mkdir(parents=True)
    (places.run / "ytm-console/away").touch()
    with Terminal(places) as put_away:
        assert put_away.problem is None


def test_no_console_is_said_and_harms_nothing(places: Places) -> None:
    with Terminal(places) as put_away:
        assert put_away.problem is not None
        assert "tty3 cannot be opened" in put_away.problem


def test_without_sysfs_the_console_in_front_is_meant(tmp_path: Path) -> None:
    with Terminal(Places(tmp_path, tmp_path)) as put_away:
        assert put_away.problem is not None
        assert f"{tmp_path}/tty0 cannot be opened" in put_away.problem
