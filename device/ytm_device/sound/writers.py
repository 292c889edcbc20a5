"""How periods get into a card's buffer, with and without a guard behind them.

The idea of taking back what was written ahead, to write what is true by now, is PulseAudio's
(Poettering, "What's Cooking in PulseAudio's glitch-free Branch", 2008).
"""

from __future__ import annotations

import errno
from abc import ABC, abstractmethod
from enum import Enum

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import CardGoneError, DeviceError
from ytm_device.sound.alsa import STOPPED, Granted, Pcm
from ytm_device.sound.guard import Guard
from ytm_device.sound.sink import PERIOD

Samples16 = npt.NDArray[np.int16]

GUARD_PERIODS = 44
"""Of `PERIOD` samples, behind what is to be heard: 235 ms at 48 kHz."""
FADE_S = 0.02
"""At the guard's end."""
_PROBED_PERIODS = 2
_STUCK_MS = 10_000
"""A card that makes no room for so long is broken."""
_ATTEMPTS = 5


class Writer(ABC):
    """Puts periods into the buffer of a PCM."""

    guard = 0
    """Frames behind what is to be heard, for the case that nothing more is written."""
    bridged = 0
    """How often the guard, or a piece of it, had to be heard."""
    turned_off = False
    """There was a guard, until the card gave an odd answer."""

    @abstractmethod
    def write(self, frames: Samples16) -> bool:
        """Wait for room, and write int16 (period, channels).

        Returns:
            False if the card has stopped, and must be prepared.

        Raises:
            CardGoneError: its device is gone or broken.
        """

    @abstractmethod
    def finish(self) -> None:
        """Let nothing be heard after what was written."""


class PlainWriter(Writer):
    """Writes what there is to write, and no more."""

    def __init__(self, pcm: Pcm) -> None:
        """Write to `pcm`."""
        self._pcm = pcm

    def write(self, frames: Samples16) -> bool:
        """See `Writer.write`."""
        done, address = 0, frames.ctypes.data
        for _ in range(_ATTEMPTS):
            taken = self._pcm.write(address + done * frames.strides[0], len(frames) - done)
            if taken < 0:
                return False
            done += taken
            if done == len(frames):
                return True
        raise self._pcm.gone(f"nothing in {_ATTEMPTS} attempts")

    def finish(self) -> None:
        """See `Writer.finish`."""


class GuardedWriter(Writer):
    """Keeps a few periods in the buffer, and behind them a guard, written anew each time.

    All that is counted here is frames: those in the buffer are what is to be heard and, behind it,
    `_behind` of the guard. Taking the guard back leaves it where it lies, and the card runs on: it
    is heard even if this process is stopped before it has written anything in its place.
    """

    def __init__(self, pcm: Pcm, granted: Granted, periods: int, rate_hz: int) -> None:
        """Write to `pcm`, for which `guard_length` is more than 0."""
        self._pcm, self._buffer, self._period = pcm, granted.buffer, granted.period
        self._full = periods * granted.period
        self._margin = margin(granted)
        self.guard = guard_length(granted, periods, rate_hz)
        self._guard = Guard(granted.period, self.guard, round(FADE_S * rate_hz), granted.channels)
        self._address = self._guard.frames.ctypes.data
        self._silence = np.zeros((granted.period, granted.channels), np.int16)
        self._behind = 0
        self._pace()
        # There is always room where the card gives back what it was given, and says so.
        pcm.let_wait(False)

    def write(self, frames: Samples16) -> bool:
        """See `Writer.write`."""
        queued = heard = 0
        for more in reversed(range(_ATTEMPTS)):
            queued = self._wait()
            heard = self._heard(queued)
            self._guard.lay_out(frames, heard)
            if queued < 0 or more == 0 or self._is_still(queued):
                break
            self._guard.take_back()
        with_guard = self._behind > 0 or queued + self._period >= self._full
        return self._put(queued, heard, self.guard if with_guard else 0)

    def finish(self) -> None:
        """See `Writer.finish`."""
        queued = self._queued()
        heard = self._heard(queued)
        if heard > 0:
            self._guard.lay_out(self._silence, heard)
            self._put(queued, heard, 0)
        elif queued > 0 and self._behind > 0:
            self._take_back(self._behind)

    def _wait(self) -> int:
        """Wait for room; how much is queued then, or one of `STOPPED`."""
        while (queued := self._queued()) - self._behind > self._full - self._period:
            if self.guard > 0 and queued - self._behind > self._full + self._period:
                self._turn_off()
            elif self._pcm.wait(_STUCK_MS) == 0:
                raise self._pcm.gone(f"nothing in {_STUCK_MS / 1000:g} s")
        return queued

    def _queued(self) -> int:
        room = self._pcm.room()
        if room > self._buffer:
            return -errno.EPIPE
        return room if room < 0 else self._buffer - room

    def _heard(self, queued: int) -> int:
        """How much of the guard will have been heard before anything else can be."""
        left = queued - self._behind
        return min(max(0, self._margin - left), self._behind)

    def _is_still(self, queued: int) -> bool:
        """Whether the card is about where it was, after what took a while."""
        return self._behind == 0 or queued - self._queued() <= self._margin // 4

    def _put(self, queued: int, heard: int, guard: int) -> bool:
        """Write what was laid out, with so much of the guard, in place of the old one."""
        back = self._behind - heard
        if queued < 0 or (back > 0 and not self._take_back(back)):
            return self._stopped()
        count = self._period + min(guard, self.guard)
        if not self._in_time(count):
            return self._stopped()
        taken = self._pcm.write(self._address, count)
        if taken < self._period:
            return self._stopped()
        self.bridged += heard > 0
        self._behind = taken - self._period
        if taken < count:
            self._turn_off()
        return True

    def _in_time(self, count: int) -> bool:
        """Whether the card has not run past all of what is to be written next.

        It would then play that a ring later, from somewhere in its middle. Where it has run past
        some of it, the rest is heard at its time.
        """
        room = self._pcm.room()
        return 0 <= room < self._buffer + count

    def _take_back(self, frames: int) -> bool:
        """Whether the card had not come so far already."""
        given = self._pcm.rewind(frames)
        if given == frames:
            return True
        if given in (*STOPPED, -errno.ENODEV) or (
            0 <= given < frames and self._queued() <= self._margin
        ):
            return False
        self._turn_off()
        return True

    def _stopped(self) -> bool:
        self._behind = 0
        self._guard.forget()
        # It may be running on with silence.
        self._pcm.drop()
        return False

    def _turn_off(self) -> None:
        """Trust it no more: what it holds will be heard, and nothing is written behind."""
        self.turned_off = True
        self.guard = self._behind = 0
        try:
            self._pace()
        except DeviceError as error:
            raise self._pcm.gone("it cannot be told when to wake") from error

    def _pace(self) -> None:
        left = self._full - self._period + self.guard
        self._pcm.pace(wake_at=self._buffer - left, start_at=self._full, runs_on=self.guard > 0)


def margin(granted: Granted) -> int:
    """Frames before the card that are left alone: it may have read them already."""
    return 2 * granted.period if granted.in_lumps else granted.period // 2


def guard_length(granted: Granted, periods: int, rate_hz: int) -> int:
    """Frames of guard for which there is room behind `periods` periods; 0: it is not worth it."""
    room = granted.buffer - periods * granted.period
    length = min(room, GUARD_PERIODS * PERIOD)
    in_time = margin(granted) + granted.period // 2 <= (periods - 1) * granted.period
    return length if in_time and length >= round(FADE_S * rate_hz) + granted.period else 0


class Rewinds(Enum):
    """Whether a PCM gives back what was written to it."""

    YES = "yes"
    NO = "no"
    ODD = "it says so, and does not"


def probe(pcm: Pcm, granted: Granted) -> Rewinds:
    """Write silence to a PCM that has not started, take it back, and write it again."""
    frames = _PROBED_PERIODS * granted.period
    silence = np.zeros((frames, granted.channels), np.int16)
    pcm.pace(wake_at=1, start_at=granted.buffer, runs_on=False)
    # `type null` gives back what it never got.
    if pcm.rewindable() != 0:
        return Rewinds.NO
    try:
        return _probed(pcm, granted.buffer, silence)
    except CardGoneError:
        return Rewinds.NO
    finally:
        pcm.drop()
        pcm.prepare()


def _probed(pcm: Pcm, buffer: int, silence: Samples16) -> Rewinds:
    frames, empty = len(silence), pcm.delay()
    for _ in range(2):
        if pcm.write(silence.ctypes.data, frames) != frames:
            return Rewinds.NO
        if pcm.rewindable() < frames:
            return Rewinds.NO
        if pcm.room() != buffer - frames or pcm.delay() != empty + frames:
            return Rewinds.ODD
        if pcm.rewind(frames) != frames or pcm.room() != buffer or pcm.delay() != empty:
            return Rewinds.ODD
    return Rewinds.YES
