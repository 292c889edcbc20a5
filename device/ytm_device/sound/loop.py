"""The audio thread: pull, and write. No log, file, socket or lock, and no array made anew."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np

from ytm_device.owner import Owner
from ytm_device.sound.gesture import Gesture
from ytm_device.sound.level import falling, rising
from ytm_device.sound.player import Player
from ytm_device.sound.realtime import urgent_thread
from ytm_device.sound.sink import Sink

JOIN_S = 10.0


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
        self.failure: BaseException | None = None
        """What ended the thread, if it was not `close`."""
        self._stopping = False
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
        sink, changes = self._sink, -1
        period = np.zeros(0, np.float32)
        while not self._stopping:
            if sink.period != period.size:
                period = np.zeros(sink.period, np.float32)
                beginning, ending = rising(sink.period), falling(sink.period)
            self._player.fill(period)
            if sink.changes != changes:
                changes = sink.changes
                np.multiply(period, beginning, out=period)
            self._write(period)
        self._player.fill(period)
        np.multiply(period, ending, out=period)
        self._write(period)

    def _write(self, period: np.ndarray) -> None:
        self._sink.write(period)
        self.samples += period.size
        sounding = self._player.sounding
        if sounding is not None and (self.heard is None or self.heard.gesture is not sounding):
            self.heard = Heard(sounding, time.monotonic_ns())
