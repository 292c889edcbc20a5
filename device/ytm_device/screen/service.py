"""The screen service: shows what is on, at the display's rate, wherever there is a screen."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np

from ytm_bundle.manifest import ImageSpec
from ytm_device.attendant import Attendant
from ytm_device.bundles import BundleKeeper
from ytm_device.bus.channel import Subscriber
from ytm_device.fading import mixed_pictures
from ytm_device.following import following_fields
from ytm_device.latency import LatencyHistogram
from ytm_device.replay import On, Programme
from ytm_device.run_dirs import endpoint
from ytm_device.screen.blend import TURN_S, Blend
from ytm_device.screen.display import Display
from ytm_device.screen.drift import drift_at
from ytm_device.screen.engine_progress import EngineProgress
from ytm_device.screen.picture import Pixels, Shift
from ytm_device.settings.source import SettingsSource
from ytm_device.status import PERIOD_S, Value

SERVICE = "screen"
RESTING_TURN_S = 0.1
"""A turn in closed hours, when there is nothing to show."""
SEEN_SHARE = 0.5
"""A reflection counts as seen once it is so much of the picture."""
_NS_PER_S = 1_000_000_000


def run(
    source: SettingsSource,
    run_dir: Path,
    stop: threading.Event,
    *,
    headless: bool = False,
) -> None:
    """Show the newest reflection, or the replay, until `stop` is set.

    Esc, or closing the window, sets `stop`. Without a screen it goes on, and opens the one that
    comes.

    Args:
        source: of the settings, which name the bundle; another one that takes its place, or is
            named instead, takes over with the next still.
        run_dir: folder of the bus, of the socket, and of the status, replaced once a second and at
            the end.
        stop: looked at in each turn.
        headless: draw into memory that nobody sees.

    Raises:
        BundleError: no bundle can be shown.
    """
    with (
        Attendant(SERVICE, run_dir, source, time.monotonic_ns()) as attendant,
        BundleKeeper(attendant.bundle_path, Programme, attendant.last_good_bundle) as keeper,
        Subscriber(endpoint(run_dir)) as subscriber,
        Display(
            keeper.bundle.manifest.image, attendant.settings.screen, headless, run_dir=run_dir
        ) as display,
    ):
        show = _show(keeper, subscriber, display, attendant, source.data)
        while not stop.is_set():
            now_ns = time.monotonic_ns()
            if show.turn(now_ns):
                stop.set()
            _see_to_the_rest(time.monotonic_ns(), attendant, keeper, show)
            if keeper.look(now_ns):
                keeper.change()
                show = _show(keeper, subscriber, display, attendant, source.data)
            stop.wait(max(0, now_ns + show.turn_ns - time.monotonic_ns()) / _NS_PER_S)
        _report(time.monotonic_ns(), attendant, keeper, show)


def _show(
    keeper: BundleKeeper[Programme],
    subscriber: Subscriber,
    display: Display,
    attendant: Attendant,
    data: Path,
) -> Show:
    manifest = keeper.bundle.manifest
    progress = EngineProgress(data, len(manifest.graphs))
    return Show(manifest.image, keeper.loaded, subscriber, display, attendant, progress)


def _see_to_the_rest(
    now_ns: int, attendant: Attendant, keeper: BundleKeeper[Programme], show: Show
) -> None:
    attendant.finished(now_ns)
    attendant.turn(now_ns)
    if attendant.due(now_ns):
        _report(now_ns, attendant, keeper, show)


def _report(now_ns: int, attendant: Attendant, keeper: BundleKeeper[Programme], show: Show) -> None:
    attendant.report(now_ns, keeper.fields | show.status(now_ns))


class Show:
    """What one bundle shows on the display, turn by turn."""

    def __init__(
        self,
        image: ImageSpec,
        programme: Programme,
        subscriber: Subscriber,
        display: Display,
        attendant: Attendant,
        progress: EngineProgress | None = None,
    ) -> None:
        self._progress = progress
        self._subscriber, self._display, self._attendant = subscriber, display, attendant
        self._image, self._programme = image, programme
        self._blend = Blend()
        self._latency = LatencyHistogram()
        self._on: On | None = None
        self._shown: tuple[Pixels, Shift] | None = None
        self._seen_ns = 0
        self._resting = False
        self._frames = 0
        self._counted_ns, self._counted_frames = time.monotonic_ns(), 0
        self._rate_hz: float | None = None

    @property
    def turn_ns(self) -> int:
        """How long the next turn should take; a display that is waited for may take longer."""
        return round((RESTING_TURN_S if self._resting else TURN_S) * _NS_PER_S)

    def turn(self, now_ns: int) -> bool:
        """Show what is on, if it is not yet shown; True if the people want to leave."""
        settings = self._attendant.settings
        self._programme.fade_s = settings.replay.fade_s
        happened = self._display.poll()
        anew = self._display.adopt(self._image, settings.screen) or happened.uncovered
        self._on = on = self._programme.at(now_ns, self._subscriber.newest())
        brightness = self._attendant.openness(now_ns)
        if brightness == 0:
            self._rest(anew)
            return happened.leave
        self._resting = False
        if self._display.attend(now_ns) or anew:
            self._shown = None
        line = None if self._progress is None else self._progress.share(now_ns)
        if line != self._display.line:
            self._display.line, self._shown = line, None
        picture = self._picture(now_ns, on)
        dimmed = mixed_pictures(np.zeros_like(picture), picture, brightness)
        self._draw(dimmed, drift_at(now_ns, settings.screen.shift_px))
        self._count_seen(now_ns, on)
        return happened.leave

    def _rest(self, anew: bool) -> None:
        if anew or not self._resting:
            self._display.rest()
        self._resting, self._shown = True, None

    def _picture(self, now_ns: int, on: On) -> Pixels:
        if on.mirror is None:
            self._blend.forget()
            return on.still
        reflected = self._blend.at(now_ns, on.mirror)
        if on.mirror_weight == 1:
            return reflected
        return mixed_pictures(on.still, reflected, on.mirror_weight)

    def _draw(self, picture: Pixels, shift: Shift) -> None:
        """Show it, unless it is what is shown already."""
        if self._shown is not None:
            shown, shown_shift = self._shown
            if shift == shown_shift and np.array_equal(picture, shown):
                return
        if self._display.show(picture, shift):
            self._frames += 1
            self._shown = picture, shift
        else:
            self._shown = None

    def _count_seen(self, now_ns: int, on: On) -> None:
        """Count how long a reflection took to be seen, once, and where it can be."""
        mirror = on.mirror
        if mirror is None or self._shown is None or mirror.taken_ns == self._seen_ns:
            return
        if self._blend.share(now_ns) >= SEEN_SHARE:
            self._latency.add(time.monotonic_ns() - mirror.taken_ns)
            self._seen_ns = mirror.taken_ns

    def status(self, now_ns: int) -> dict[str, Value]:
        """Say how it goes; ages and latencies in milliseconds, sizes None without a screen."""
        width, height = self._display.size or (None, None)
        return {
            **following_fields(now_ns, self._on, self._programme, self._subscriber),
            "problem": self._display.problem,
            "driver": self._display.driver,
            "width": width,
            "height": height,
            "frames": self._frames,
            "frames_per_s": self._frames_per_s(now_ns),
            "frame_to_screen_p50_ms": self._latency.percentile_ms(50),
            "frame_to_screen_p95_ms": self._latency.percentile_ms(95),
        }

    def _frames_per_s(self, now_ns: int) -> float | None:
        """Pictures shown a second, lately; None before a whole period has been counted."""
        elapsed_s = (now_ns - self._counted_ns) / _NS_PER_S
        if elapsed_s >= PERIOD_S:
            self._rate_hz = round((self._frames - self._counted_frames) / elapsed_s, 1)
            self._counted_ns, self._counted_frames = now_ns, self._frames
        return self._rate_hz
