"""The audio thread: pull, and write. No log, file, socket or lock, and no array made anew."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_device.owner import Owner
from ytm_device.sound.gesture import Gesture
from ytm_device.sound.level import falling, rising
from ytm_device.sound.player import Player
from ytm_device.sound.realtime import Appetite, ordinary_thread, urgent_thread
from ytm_device.sound.sink import Sink

JOIN_S = 10.0
Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Heard:
    """A gesture, and when the first samples that follow it were written."""

    gesture: Gesture
    written_ns: int


class AudioLoop(Owner):
    """Writes what the player gives to the sink, at the sink's pace, in a thread of its own.

    What is public may be read by another thread.
    """

    def __init__(self, player: Player, sink: Sink) -> None:
        """Start at once. The sink stays the caller's."""
        self._player, self._sink = player, sink
        self.samples = 0
        """Written so far."""
        self.heard: Heard | None = None
        """The newest gesture that was written."""
        self.urgent = False
        """The thread has real-time priority."""
        self.why_not_urgent: str | None = None
        """Why it gave that up; None if it has it, or never had."""
        self.failure: BaseException | None = None
        """What ended the thread, if it was not `close`."""
        self._stopping = False
        self._period = np.zeros(0, np.float32)
        self._changes = -1
        self._thread = threading.Thread(target=self._run, name="audio", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Fade out, and end the thread."""
        self._stopping = True
        self._thread.join(JOIN_S)
        if self._thread.is_alive():
            self.failure = TimeoutError(f"it did not end within {JOIN_S:g} s")

    def _run(self) -> None:
        try:
            self.urgent = urgent_thread()
            self._play()
        except BaseException as error:  # Ends in the other thread, which can say it.
            self.failure = error

    def _play(self) -> None:
        appetite = Appetite(self._sink.rate_hz)
        while not self._stopping:
            began_s = time.thread_time()
            period = self._next_period()
            took_s = time.thread_time() - began_s
            if appetite.made(period.size, took_s) and self.urgent:
                ordinary_thread()
                self.urgent = False
                self.why_not_urgent = f"the sound takes {appetite.share:.0%} of its processor"
            self._write(period)
        period = self._next_period()
        np.multiply(period, falling(period.size), out=period)
        self._write(period)

    def _next_period(self) -> Array:
        """What the sink takes next, faded in if another device took over."""
        period, changes = self._period, self._sink.changes
        if period.size != self._sink.period:
            self._period = period = np.zeros(self._sink.period, np.float32)
        self._player.fill(period)
        if changes != self._changes:
            self._changes = changes
            np.multiply(period, rising(period.size), out=period)
        return period

    def _write(self, period: Array) -> None:
        self._sink.write(period)
        self.samples += period.size
        sounding = self._player.sounding
        if sounding is not None and (self.heard is None or self.heard.gesture is not sounding):
            self.heard = Heard(sounding, time.monotonic_ns())
