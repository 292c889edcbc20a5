"""Holds whatever screen there is, and looks for one when there is none."""

from __future__ import annotations

import os
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.console import say
from ytm_device.owner import Owner
from ytm_device.screen.attempts import Attempts
from ytm_device.screen.framebuffer import FramebufferPresenter
from ytm_device.screen.outlets import BARE, Outlet, Places, outlets, why_none
from ytm_device.screen.picture import Enlarger, Pixels, Shift
from ytm_device.screen.presenter import Happened, Presenter
from ytm_device.screen.terminal import Terminal
from ytm_device.screen.window import SdlPresenter
from ytm_device.settings.model import ScreenSettings

LOOK_EVERY_S = 0.5
"""How often it is asked what is connected."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 2.0
"""Between two tries to open the same screens; the pause doubles from the first to the longest."""
_NS_PER_S = 1_000_000_000


class Display(Owner):
    """The one screen, open or not. Made, used and closed in one thread.

    Nothing that happens to a screen is an error here, but for an X server: Xlib ends the process
    when its server goes, and the supervisor starts it again.
    """

    def __init__(
        self,
        image: ImageSpec,
        settings: ScreenSettings,
        headless: bool = False,
        places: Places | None = None,
        run_dir: Path | None = None,
    ) -> None:
        """Open nothing yet: `attend` does.

        Args:
            image: the size of the pictures and how they fit.
            settings: what is wanted of the screen.
            headless: draw into memory that nobody sees.
            places: where to look for what is connected; None for the kernel's own.
            run_dir: gets a mark while a screen without a desktop is opened; see `Attempts`.
        """
        self.problem: str | None = None
        """Why nothing can be seen, or not as wanted; None if all is well."""
        self.line: float | None = None
        """See `Enlarger.line`; taken up by the next `show`."""
        self._image, self._settings = image, settings
        self._headless, self._places = headless, places or Places()
        self._presenter: Presenter | None = None
        self._outlet: Outlet | None = None
        self._terminal: Terminal | None = None
        self._enlarger: Enlarger | None = None
        self._resting = False
        self._attempts = Attempts(run_dir)
        self._found: list[Outlet] = []
        self._look_ns = self._try_ns = 0
        self._pause_s = FIRST_PAUSE_S

    @property
    def driver(self) -> str:
        """What shows the pixels; "none" while nothing does."""
        return "none" if self._presenter is None else self._presenter.driver

    @property
    def size(self) -> tuple[int, int] | None:
        """Width and height in pixels; None while there is no screen."""
        return None if self._presenter is None else self._presenter.size

    def adopt(self, image: ImageSpec, settings: ScreenSettings) -> bool:
        """Take other pictures or settings; True if what is shown must be drawn again."""
        if (image, settings) == (self._image, self._settings):
            return False
        before, self._settings, self._image = self._settings, settings, image
        self._enlarger = None
        if (settings.window, settings.output) != (before.window, before.output):
            self._give_back()
            self._look_ns = self._try_ns = 0
        return True

    def attend(self, now_ns: int) -> bool:
        """Let go of a screen that has gone, and open one that has come.

        Args:
            now_ns: CLOCK_MONOTONIC, in nanoseconds.

        Returns:
            Whether one was opened, on which nothing is shown yet.
        """
        if self._resting:
            self._resting, self._look_ns = False, 0
        if now_ns < self._look_ns:
            return False
        self._look_ns = now_ns + round(LOOK_EVERY_S * _NS_PER_S)
        before, self._found = self._found, self._outlets()
        if self._outlet is not None and self._outlet not in self._found:
            self._lose(f"screen: {self._outlet} has gone")
        if self._presenter is not None or (now_ns < self._try_ns and self._found == before):
            return False
        return self._open_first(now_ns)

    def show(self, image: Pixels, shift: Shift) -> bool:
        """Show uint8 (h, w, 3), RGB, not flipped; False if there is no screen to show it on."""
        if self._presenter is None:
            return False
        size = self._presenter.size
        if self._enlarger is None or size != (self._enlarger.width, self._enlarger.height):
            how = self._settings
            self._enlarger = Enlarger(self._image, *size, how.rotation, how.shift_px)
        self._enlarger.line = self.line
        try:
            self._presenter.show(image, self._enlarger, shift)
        except DeviceError as error:
            self._lose(str(error))
            return False
        self._attempts.end()
        return True

    def poll(self) -> Happened:
        """Take in what people did to the screen since the last call."""
        if self._presenter is None:
            return Happened()
        try:
            return self._presenter.poll()
        except DeviceError as error:
            self._lose(str(error))
            return Happened()

    def rest(self) -> None:
        """Show nothing until the next `attend`. A screen that is dark on purpose is no problem.

        KMSDRM is given back, whose picture would otherwise stay; the console behind it is black.
        """
        self._resting, self.problem = True, None
        if any(outlet.kind in BARE for outlet in self._outlets()):
            self._put_console_away()
        if self._outlet is not None and self._outlet.kind == "kmsdrm":
            self._give_back()
        if self._presenter is None:
            return
        try:
            self._presenter.darken()
        except DeviceError as error:
            self._lose(str(error))

    def close(self) -> None:
        """Give the screen back, and its console."""
        self._give_back()
        if self._terminal is not None:
            self._terminal.close()
            self._terminal = None

    def _outlets(self) -> list[Outlet]:
        if self._headless:
            return [Outlet("offscreen")]
        return outlets(self._settings, os.environ, self._places)

    def _open_first(self, now_ns: int) -> bool:
        """Open the best that can be; what could not is the problem."""
        refused = []
        for outlet in self._found:
            try:
                presenter = self._open(outlet, now_ns)
            except DeviceError as error:
                refused.append(str(error))
                continue
            self._presenter, self._outlet = presenter, outlet
            self._pause_s, self._try_ns = FIRST_PAUSE_S, 0
            width, height = presenter.size
            say(f"screen: {outlet}, {width}x{height}, by {presenter.driver}")
            break
        else:
            self._try_ns = now_ns + round(self._pause_s * _NS_PER_S)
            self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            if not refused:
                refused = [f"screen: {why_none(self._settings, self._places)}"]
        self._have_problem("; ".join(refused) or None)
        return self._presenter is not None

    def _open(self, outlet: Outlet, now_ns: int) -> Presenter:
        if outlet.kind in BARE:
            self._put_console_away()
        if outlet.kind == "framebuffer":
            return FramebufferPresenter(self._places.framebuffer)
        if outlet.kind != "kmsdrm":
            return SdlPresenter(outlet, self._settings.window)
        if (why := self._attempts.why_not(now_ns)) is not None:
            raise DeviceError(f"screen: {outlet}: {why}")
        self._attempts.begin(now_ns)
        try:
            return SdlPresenter(outlet)
        except DeviceError:
            self._attempts.end()
            raise

    def _put_console_away(self) -> None:
        if self._terminal is None:
            self._terminal = Terminal(self._places)
            if self._terminal.problem:
                say(f"screen: {self._terminal.problem}")

    def _lose(self, why: str) -> None:
        self._give_back()
        self._try_ns = 0
        self._have_problem(why)

    def _give_back(self) -> None:
        if self._presenter is not None:
            self._presenter.close()
        self._attempts.end()
        self._presenter = self._outlet = self._enlarger = None

    def _have_problem(self, problem: str | None) -> None:
        """Say it once, however often it is met."""
        if problem is not None and problem != self.problem:
            say(problem)
        self.problem = problem
