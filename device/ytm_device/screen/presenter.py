"""What shows pictures: SDL's window or screen, or the bare framebuffer."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

from ytm_device.owner import Owner
from ytm_device.screen.picture import Enlarger, Pixels, Shift


@dataclass(frozen=True)
class Happened:
    """What the people in front of the screen did to it."""

    leave: bool = False
    """Esc was pressed or the window closed."""
    uncovered: bool = False
    """It was resized or came into sight, so that what it shows must be drawn again."""


class Presenter(Owner):
    """One open screen. Made, used and closed in one thread.

    Each method but `close` raises DeviceError when the screen has gone.
    """

    driver: str
    """What shows the pixels, for the status."""

    @property
    @abstractmethod
    def size(self) -> tuple[int, int]:
        """Width and height in pixels, at least 1; a window's may change at each `poll`."""

    @abstractmethod
    def show(self, image: Pixels, enlarger: Enlarger, shift: Shift) -> None:
        """Show uint8 (h, w, 3), RGB, as `enlarger`, made for this `size`, enlarges it.

        Waits for the display where it can: what returned has been shown, or is next.
        """

    @abstractmethod
    def darken(self) -> None:
        """Show nothing, until the next `show`; the display sleeps where it can be told to."""

    @abstractmethod
    def poll(self) -> Happened:
        """Take in what happened since the last call. Never waits."""
