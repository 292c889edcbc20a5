"""The text console behind a screen without a desktop: its text and cursor are put away."""

from __future__ import annotations

import fcntl
import os

from ytm_device.owner import Owner
from ytm_device.screen.outlets import Places

SET_MODE = 0x4B3A
"""ioctl request KDSETMODE, see ioctl_console(2)."""
TEXT, GRAPHICS = 0, 1
CLEARED = b"\033[?25l\033[2J\033[H\033[9;0]"
"""No cursor, no text, and no blanking after a while: see console_codes(4)."""
RESTORED = b"\033[?25h"


class Terminal(Owner):
    """The console in the foreground, kept from drawing until it is closed.

    On a board ytm-console.service has put it away for good, and there is nothing to do. Elsewhere,
    without the right to it, it stays as it is and says so: a cursor may then blink in the picture.
    """

    def __init__(self, places: Places) -> None:
        """Put away the console that is in the foreground."""
        self.problem: str | None = None
        """Why it could not be put away."""
        self._descriptor: int | None = None
        if places.console_is_away:
            return
        self._node = places.dev / _foreground(places)
        try:
            self._descriptor = os.open(
                self._node, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC
            )
        except OSError as error:
            self._say(f"cannot be opened ({error.strerror})")
            return
        # Cleared first: what it shows stays in the framebuffer, behind the picture.
        self._write(CLEARED)
        self._set(GRAPHICS)

    def close(self) -> None:
        """Give the console back to who logs in there."""
        if self._descriptor is None:
            return
        self._set(TEXT)
        self._write(RESTORED)
        os.close(self._descriptor)
        self._descriptor = None

    def _write(self, codes: bytes) -> None:
        assert self._descriptor is not None
        try:
            os.write(self._descriptor, codes)
        except OSError as error:
            self._say(f"does not take its codes ({error.strerror})")

    def _set(self, mode: int) -> None:
        assert self._descriptor is not None
        try:
            fcntl.ioctl(self._descriptor, SET_MODE, mode)
        except OSError as error:
            self._say(f"cannot be kept from drawing ({error.strerror})")

    def _say(self, why: str) -> None:
        self.problem = (
            f"the console {self._node} {why}; give the service that terminal"
            " (StandardInput=tty, TTYPath=)"
        )


def _foreground(places: Places) -> str:
    """Name of the console that would be seen."""
    try:
        return (places.sys / "class/tty/tty0/active").read_text().strip() or "tty0"
    except OSError:
        return "tty0"
