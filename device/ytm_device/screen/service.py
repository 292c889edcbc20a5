"""The screen service: shows the newest reflection, or the replay."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_device.bus.channel import Subscriber
from ytm_device.latency import LatencyHistogram
from ytm_device.replay import Answer, Programme
from ytm_device.screen.picture import Enlarger
from ytm_device.screen.window import Window
from ytm_device.status import PERIOD_S, StatusReporter, Value

SERVICE = "screen"
LOOK_RATE_HZ = 60
"""How often the window and the newest reflection are looked at."""
_NS_PER_S = 1_000_000_000


def run(
    bundle: Bundle,
    endpoint: str,
    run_dir: Path,
    window: bool,
    headless: bool,
    stop: threading.Event,
) -> None:
    """Show the newest reflection from `endpoint`, or the replay, until `stop` is set.

    Esc, or closing the window, sets `stop`.

    Args:
        bundle: says what the pictures are and holds the replay.
        endpoint: where reflections are published.
        run_dir: folder of the status, replaced once a second and at the end.
        window: a resizable window instead of the whole screen.
        headless: no screen; everything but the showing is done.
        stop: looked at `LOOK_RATE_HZ` times a second.

    Raises:
        DeviceError: there is no screen.
    """
    with Window(window=window, headless=headless) as opened, Subscriber(endpoint) as subscriber:
        show = _Show(bundle, subscriber, opened)
        look_ns = _NS_PER_S // LOOK_RATE_HZ
        reporter = StatusReporter(run_dir, SERVICE)
        while not stop.is_set():
            now_ns = time.monotonic_ns()
            if show.turn(now_ns):
                stop.set()
            if reporter.due(now_ns):
                reporter.report(now_ns, show.status(now_ns))
            stop.wait(max(0, now_ns + look_ns - time.monotonic_ns()) / _NS_PER_S)
        now_ns = time.monotonic_ns()
        reporter.report(now_ns, show.status(now_ns))


class _Show:
    """One window, and what has been shown in it."""

    def __init__(self, bundle: Bundle, subscriber: Subscriber, window: Window) -> None:
        self._subscriber, self._window = subscriber, window
        self._image = bundle.manifest.image
        self._enlarger = Enlarger(self._image, *window.size)
        self._programme = Programme(bundle)
        self._latency = LatencyHistogram()
        self._shown: Answer | None = None
        self._frames = 0
        self._counted_ns, self._counted_frames = time.monotonic_ns(), 0
        self._rate_hz: float | None = None

    def turn(self, now_ns: int) -> bool:
        """Show what is on, if it is not yet shown; True if the people want to leave."""
        happened = self._window.poll()
        on = self._programme.at(now_ns, self._subscriber.newest())
        if happened.uncovered or on is not self._shown:
            self._show(on)
        return happened.leave

    def _show(self, on: Answer) -> None:
        size = self._window.size
        if size != (self._enlarger.width, self._enlarger.height):
            self._enlarger = Enlarger(self._image, *size)
        self._window.show(on.image, self._enlarger)
        self._frames += 1
        if on.taken_ns is not None and on is not self._shown:
            self._latency.add(time.monotonic_ns() - on.taken_ns)
        self._shown = on

    def status(self, now_ns: int) -> dict[str, Value]:
        """Say how it goes; ages and latencies in milliseconds."""
        taken_ns = None if self._shown is None else self._shown.taken_ns
        return {
            "mode": "replay" if taken_ns is None else "mirror",
            "driver": self._window.driver,
            "width": self._enlarger.width,
            "height": self._enlarger.height,
            "frames": self._frames,
            "frames_per_s": self._frames_per_s(now_ns),
            "reflection_age_ms": None if taken_ns is None else (now_ns - taken_ns) / 1e6,
            "frame_to_screen_p50_ms": self._latency.percentile_ms(50),
            "frame_to_screen_p95_ms": self._latency.percentile_ms(95),
            "foreign_reflections": self._programme.foreign,
            "rejected_messages": self._subscriber.rejected,
        }

    def _frames_per_s(self, now_ns: int) -> float | None:
        """Pictures shown a second, lately; None before a whole period has been counted."""
        elapsed_s = (now_ns - self._counted_ns) / _NS_PER_S
        if elapsed_s >= PERIOD_S:
            self._rate_hz = round((self._frames - self._counted_frames) / elapsed_s, 1)
            self._counted_ns, self._counted_frames = now_ns, self._frames
        return self._rate_hz
