"""Which ways to a screen there are, by what is connected: decided without opening any."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ytm_device.settings.model import ScreenSettings

Kind = Literal["desktop", "kmsdrm", "framebuffer", "offscreen"]

SESSIONS = {"WAYLAND_DISPLAY": "wayland", "DISPLAY": "x11"}
"""Variable that names a desktop session -> SDL's driver for it."""
BARE: tuple[Kind, ...] = ("kmsdrm", "framebuffer")
"""Those without a desktop, behind which a text console lies."""
MAX_CONNECTORS = 64
_CONNECTOR = re.compile(r"card(\d+)-(.+)")
_CONNECTED, _DISCONNECTED = "connected", "disconnected"


@dataclass(frozen=True)
class Connector:
    """A socket for a display on a graphics card."""

    card: int
    name: str
    status: str
    """"connected", "disconnected" or "unknown"."""
    mode: str
    """The display's preferred mode, such as 1920x1080; empty without one."""


@dataclass(frozen=True)
class Outlet:
    """One way to a screen. Another display in the same socket is another outlet."""

    kind: Kind
    connector: Connector | None = None
    """For KMSDRM: where the display is connected."""

    def __str__(self) -> str:
        where = self.connector
        return self.kind if where is None else f"{self.kind} ({where.name}, {where.mode})"


@dataclass(frozen=True)
class Places:
    """Where the kernel says what is connected. Others than these are for tests."""

    sys: Path = Path("/sys")
    dev: Path = Path("/dev")
    run: Path = Path("/run")

    @property
    def framebuffer(self) -> Path:
        """The first framebuffer, whether or not it is there."""
        return self.dev / "fb0"

    @property
    def console_is_away(self) -> bool:
        """Whether ytm-console.service has put the text console away."""
        return (self.run / "ytm-console/away").exists()

    def connectors(self) -> list[Connector]:
        """Every connector, those of the first card first; a display's state is read anew."""
        folders = sorted((self.sys / "class/drm").glob("card*-*"))[:MAX_CONNECTORS]
        found = ((folder, _CONNECTOR.fullmatch(folder.name)) for folder in folders)
        return [
            Connector(
                card=int(match[1]),
                name=match[2],
                status=_first_line(folder / "status"),
                mode=_first_line(folder / "modes"),
            )
            for folder, match in found
            if match
        ]


def session(environment: Mapping[str, str]) -> str:
    """The X11 or Wayland session, as NAME=VALUE; empty if there is none."""
    return next((f"{name}={environment[name]}" for name in SESSIONS if environment.get(name)), "")


def outlets(
    settings: ScreenSettings, environment: Mapping[str, str], places: Places
) -> list[Outlet]:
    """The ways to a screen, the best first; empty if nothing is connected.

    A session that is named is the only way, even while it cannot be reached: its server will want
    the card. Without one it is the first connected connector, by KMSDRM; after that the
    framebuffer, which is also the way where the kernel cannot tell what is connected.
    """
    if settings.output != "framebuffer" and (settings.window or session(environment)):
        return [Outlet("desktop")]
    connectors = places.connectors()
    connected = next((each for each in connectors if each.status == _CONNECTED), None)
    found = []
    if connected is not None and settings.output != "framebuffer":
        found.append(Outlet("kmsdrm", connected))
    # Who asks for the framebuffer may have a panel on it that is no connector.
    lit = settings.output == "framebuffer" or not _all_empty(connectors)
    if settings.output != "sdl" and lit and places.framebuffer.exists():
        found.append(Outlet("framebuffer"))
    return found


def why_none(settings: ScreenSettings, places: Places) -> str:
    """Why `outlets` are empty, and what to do."""
    if settings.output == "framebuffer" and not places.framebuffer.exists():
        return f"{places.framebuffer} is not there; load the kernel's framebuffer driver"
    sockets = ", ".join(each.name for each in places.connectors())
    if sockets:
        return f"no display is connected ({sockets} empty); connect one and switch it on"
    return "no display found; connect a screen, or set DISPLAY if a desktop session is running"


def _all_empty(connectors: Sequence[Connector]) -> bool:
    return bool(connectors) and all(each.status == _DISCONNECTED for each in connectors)


def _first_line(path: Path) -> str:
    """A line of a file in /sys; empty if the connector has just gone."""
    try:
        return path.read_text().partition("\n")[0]
    except OSError:
        return ""
