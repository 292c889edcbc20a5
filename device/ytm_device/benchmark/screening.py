"""From a reflection's picture to the display, watched where it lies in the screen's memory."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns, perf_counter_ns, sleep

import numpy as np

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import ImageSpec
from ytm_device.benchmark.busy import REMEDY
from ytm_device.benchmark.stages import Times
from ytm_device.screen.blend import TURN_S
from ytm_device.screen.display import Display
from ytm_device.screen.drift import drift_at
from ytm_device.screen.outlets import Places, outlets
from ytm_device.screen.picture import UNMOVED, Enlarger, Pixels, Shift
from ytm_device.screen.window import HEADLESS_SIZE
from ytm_device.settings.model import ScreenSettings

OFFSCREEN = "offscreen, nobody sees it"
_NS_PER_S = 1_000_000_000
_WARM_UP_TURNS = 5


class WatchedEnlarger(Enlarger):
    """Notes how long enlarging takes, and how light the screen's memory is afterwards."""

    took_ns = 1
    """Of the last call."""
    level = 0.0
    """Mean of all bytes of the line in the middle, as the screen holds them, 0 to 255."""

    def render_into(self, image: Pixels, out: Pixels, shift: Shift = UNMOVED) -> None:
        """See `Enlarger.render_into`."""
        begun_ns = perf_counter_ns()
        super().render_into(image, out, shift)
        self.took_ns = perf_counter_ns() - begun_ns
        self.level = float(out[len(out) // 2].mean())


@dataclass
class Shown:
    """Pictures that were shown, one after the other."""

    times_ns: list[int] = field(default_factory=list)
    """When the display had each, on CLOCK_MONOTONIC."""
    levels: list[float] = field(default_factory=list)
    """See `WatchedEnlarger.level`."""


class WatchedDisplay(Display):
    """A display whose memory is read back as it is shown."""

    def __init__(
        self,
        image: ImageSpec,
        settings: ScreenSettings,
        headless: bool,
        places: Places | None = None,
    ) -> None:
        """See `Display`."""
        super().__init__(image, settings, headless, places)
        self.shown = Shown()
        self.enlarge_ns = self.show_ns = 1
        """Of the last picture: enlarging alone, and all until the display had it."""

    @property
    def reach_px(self) -> int:
        """How far a picture may be moved."""
        return self._settings.shift_px

    def show(self, image: Pixels, shift: Shift) -> bool:
        """See `Display.show`."""
        enlarger = self._watched()
        begun_ns = perf_counter_ns()
        if not super().show(image, shift) or enlarger is None:
            return False
        self.show_ns, self.enlarge_ns = perf_counter_ns() - begun_ns, enlarger.took_ns
        self.shown.times_ns.append(monotonic_ns())
        self.shown.levels.append(enlarger.level)
        return True

    def _watched(self) -> WatchedEnlarger | None:
        """The enlarger that is used, in place of one that is not watched."""
        size, before = self.size, self._enlarger
        if size is None:
            return None
        if not isinstance(before, WatchedEnlarger) or (before.width, before.height) != size:
            how = self._settings
            before = WatchedEnlarger(self._image, *size, how.rotation, how.shift_px)
            self._enlarger = before
        return before


def places_in(root: Path) -> Places:
    """Where the kernel of the board at `root` says what is connected."""
    return Places(root / "sys", root / "dev")


def is_headless(settings: ScreenSettings, places: Places) -> bool:
    """Whether there is no display to show anything on."""
    return not outlets(settings, os.environ, places)


def opened(display: Display) -> str:
    """Open what there is; what it is.

    Raises:
        DeviceError: there is a display, and it cannot be opened.
    """
    display.attend(monotonic_ns())
    size = display.size
    if size is None:
        raise DeviceError(f"{display.problem}; {REMEDY}")
    return f"{display.driver}, {size[0]}x{size[1]}"


def measure(bundle: Bundle, display: WatchedDisplay, seconds: float, times: Times) -> None:
    """Show another picture in each turn, at the mirror's pace, for so long.

    Raises:
        DeviceError: the display cannot be shown on any more.
    """
    pictures = _pictures(bundle)
    turns = round(seconds / TURN_S) + _WARM_UP_TURNS
    for turn in range(turns):
        begun_ns = monotonic_ns()
        if display.poll().leave:
            raise KeyboardInterrupt
        shift = drift_at(begun_ns, display.reach_px)
        if not display.show(pictures[turn % len(pictures)], shift):
            raise DeviceError(f"{display.problem}; {REMEDY}")
        if turn >= _WARM_UP_TURNS:
            times.add("enlarge", display.enlarge_ns)
            times.add("flip", display.show_ns - display.enlarge_ns)
        left_ns = begun_ns + round(TURN_S * _NS_PER_S) - monotonic_ns()
        sleep(max(0, left_ns) / _NS_PER_S)


def measure_enlarging(
    bundle: Bundle, settings: ScreenSettings, seconds: float, times: Times
) -> str:
    """Enlarge into memory alone, as often as a mirror would in so long; the size."""
    width, height = HEADLESS_SIZE
    enlarger = WatchedEnlarger(
        bundle.manifest.image, width, height, settings.rotation, settings.shift_px
    )
    pictures = _pictures(bundle)
    out = np.empty((height, width, 4), np.uint8)
    padded = np.zeros((*pictures.shape[1:3], 4), np.uint8)
    for turn in range(round(seconds / TURN_S) + _WARM_UP_TURNS):
        padded[..., :3] = pictures[turn % len(pictures)]
        enlarger.render_into(padded, out, drift_at(monotonic_ns(), settings.shift_px))
        if turn >= _WARM_UP_TURNS:
            times.add("enlarge", enlarger.took_ns)
    return f"memory, {width}x{height}"


def _pictures(bundle: Bundle) -> Pixels:
    """uint8 (n, h, w, 3): all different, so that each turn has something to show."""
    replay = bundle.replay()
    return np.concatenate([replay.reconstructions, replay.images])
