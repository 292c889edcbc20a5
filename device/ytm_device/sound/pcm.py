"""The sound card, through ALSA."""

from __future__ import annotations

import math
import time
from contextlib import suppress

import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import CardGoneError, DeviceError
from ytm_device.sound import alsa
from ytm_device.sound.alsa import CONVERTING, Granted, Pcm
from ytm_device.sound.level import rising
from ytm_device.sound.sink import PERIOD, PERIODS, Sink
from ytm_device.sound.writers import (
    GUARD_PERIODS,
    GuardedWriter,
    PlainWriter,
    Rewinds,
    Writer,
    guard_length,
    probe,
)

Array = npt.NDArray[np.float32]
Samples16 = npt.NDArray[np.int16]

FULL_SCALE = 32767
_MAX_CHANNELS = 8
_ATTEMPTS = 5
"""Writes of one period before the card counts as broken."""
SLACK_S = 1.0
"""A PCM that is further ahead of the clock does not keep time."""
WATCHED_S = 10.0
"""Seconds over which that is watched."""
_NS_PER_S = 1_000_000_000
_SEED = 16
_PROBE_RATE_HZ = 48000
_ODD = "does not give back what was written ahead, though it says so"


class AlsaSink(Sink):
    """A `Sink` on an ALSA PCM: 16 bits, the same in every channel.

    Where the PCM gives back what was written, there is always a guard behind the last sample: what
    is heard if this process is stopped.
    """

    def __init__(
        self, name: str, rate_hz: int, ceiling_dbfs: float = 0.0, periods: int = PERIODS
    ) -> None:
        """Open the PCM `name`, such as `default` or `plughw:CARD=PCH`, for playback.

        Args:
            name: as `aplay -L` lists it.
            rate_hz: of the samples that will be written.
            ceiling_dbfs: <= 0; no sample is louder, dither included.
            periods: >= 2, in the buffer; the card may grant other sizes, which `period` and
                `buffer` then say.

        Raises:
            DeviceError: there is no such PCM, it is in use, or what it grants cannot be played on.
        """
        self._pcm, granted, rewinds = _open(name, rate_hz, periods)
        self.name, self.rate_hz = name, rate_hz
        self.channels, self.period = granted.channels, granted.period
        self._odd = rewinds is Rewinds.ODD
        self._writer: Writer
        if rewinds is Rewinds.YES:
            self.buffer = periods * granted.period
            self._writer = GuardedWriter(self._pcm, granted, periods, rate_hz)
        else:
            self.buffer = granted.buffer
            self._writer = PlainWriter(self._pcm)
        self.guard = self._writer.guard
        self.underruns = 0
        self._quantise = Quantiser(self.period, self.channels, ceiling_dbfs)
        self._rising = rising(self.period)[:, np.newaxis]
        self._slack_s = max(SLACK_S, 2 * granted.buffer / rate_hz)
        self._since_ns, self._taken = time.monotonic_ns(), 0

    @property
    def oddity(self) -> str | None:
        """Why there is no guard, where there could be one."""
        is_odd = self._odd or self._writer.turned_off
        return f"{self.name}: {_ODD}; a stop of this process will be heard" if is_odd else None

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        frames = self._quantise(samples)
        for _ in range(_ATTEMPTS):
            if self._writer.write(frames):
                self.guard, self.bridged = self._writer.guard, self._writer.bridged
                self._keep_pace(samples.size)
                return
            # What is written again follows on nothing: its first sample would be a click.
            self.underruns += 1
            self._pcm.prepare()
            np.multiply(frames, self._rising, out=frames, casting="unsafe")
        raise CardGoneError(
            f"{self.name}: took no samples in {_ATTEMPTS} attempts; check the card and its cable"
        )

    def _keep_pace(self, samples: int) -> None:
        """Wait by the clock where the PCM does not, such as one that writes to a file."""
        now_ns = time.monotonic_ns()
        passed_s = (now_ns - self._since_ns) / _NS_PER_S
        self._taken += samples
        ahead_s = self._taken / self.rate_hz - passed_s
        if ahead_s > self._slack_s:
            time.sleep(ahead_s - self._slack_s / 2)
        elif passed_s > WATCHED_S:
            # No card is much faster than the clock, but over days a little adds up.
            self._since_ns, self._taken = now_ns, 0

    def close(self) -> None:
        """See `Sink.close`."""
        with suppress(CardGoneError):
            self._writer.finish()
        self._pcm.let_wait(True)
        self._pcm.drain()
        self._pcm.close()

    def abandon(self) -> None:
        """Release the device at once, whatever is still to be heard."""
        self._pcm.drop()
        self._pcm.close()


class Quantiser:
    """Float samples to the frames of a card, with no memory asked for in between.

    Triangular dither turns the distortion of soft sounds into even noise: Lipshitz, Wannamaker and
    Vanderkooy, "Quantization and dither", JAES 40(5), 1992. Two draws of one step each, so at most
    1 either way before rounding.
    """

    def __init__(self, period: int, channels: int, ceiling_dbfs: float = 0.0) -> None:
        """Make room for `period` samples; none is louder than `ceiling_dbfs` (<= 0) afterwards."""
        self._ceiling = math.floor(FULL_SCALE * 10 ** (ceiling_dbfs / 20))
        self._random = np.random.default_rng(_SEED)
        self._draws = np.empty((2, period), np.float32)
        self._up, self._down = self._draws
        self._steps = np.empty(period, np.float32)
        self._column = self._steps[:, np.newaxis]
        self._frames = np.empty((period, channels), np.int16)

    def __call__(self, samples: Array) -> Samples16:
        """Give int16 (period, channels), full scale 32767, valid until the next call.

        Args:
            samples: float32 (period,) in [-1, 1].
        """
        self._random.random(dtype=np.float32, out=self._draws)
        np.multiply(samples, FULL_SCALE, out=self._steps)
        self._steps += self._up
        self._steps -= self._down
        np.rint(self._steps, out=self._steps)
        np.clip(self._steps, -self._ceiling, self._ceiling, out=self._steps)
        np.copyto(self._frames, self._column, casting="unsafe")
        return self._frames


def _open(name: str, rate_hz: int, periods: int) -> tuple[Pcm, Granted, Rewinds]:
    """Open it with room for a guard, if it gives back what is written; otherwise without."""
    rewinds, period = Rewinds.NO, PERIOD
    for behind in (GUARD_PERIODS * PERIOD, 0):
        pcm = Pcm(name)
        try:
            granted = pcm.configure(rate_hz, period, periods * period + behind)
            check_granted(name, rate_hz, granted)
            if guard_length(granted, periods, rate_hz) > 0 and behind > 0:
                rewinds = probe(pcm, granted)
        except DeviceError:
            pcm.close()
            raise
        if rewinds is Rewinds.YES or behind == 0:
            break
        period = granted.period
        pcm.close()
    return pcm, granted, rewinds


def check_granted(name: str, rate_hz: int, granted: Granted) -> None:
    """Check what the PCM `name` gave for a request of `rate_hz`.

    Raises:
        DeviceError: the rate is another, or the channels or buffer make no sense.
    """
    if granted.rate_hz != rate_hz:
        raise DeviceError(
            f"{name}: grants rate {granted.rate_hz}, the bundle's sound needs {rate_hz};"
            f" {CONVERTING}"
        )
    if not 1 <= granted.channels <= _MAX_CHANNELS:
        raise DeviceError(
            f"{name}: grants channels {granted.channels}, 1 to {_MAX_CHANNELS} can be played on;"
            f" {CONVERTING}"
        )
    if granted.period < 1:
        raise DeviceError(
            f"{name}: grants a period of {granted.period}, it takes 1 or more; {CONVERTING}"
        )
    if granted.buffer < 2 * granted.period:
        raise DeviceError(
            f"{name}: grants a buffer of {granted.buffer} for a period of {granted.period}, without"
            f" gaps it takes {2 * granted.period} or more; {CONVERTING}"
        )


def find_card() -> str | None:
    """Name a PCM that can be opened for playback; None if there is none.

    `default` comes first, since it is what the system was set up to use. All candidates convert
    rates.
    """
    for name in _candidates():
        try:
            sink = AlsaSink(name, _PROBE_RATE_HZ)
        except DeviceError:
            continue
        sink.abandon()
        return name
    return None


def _candidates() -> list[str]:
    cards = [f"plughw:CARD={card}" for card in alsa.card_ids()]
    listed = alsa.playback_names()
    # Without a card, opening a `default` that is not listed only makes libasound complain aloud.
    default = ["default"] if cards or "default" in listed else []
    return list(
        dict.fromkeys([*default, *(name for name in listed if name.startswith("plughw:")), *cards])
    )
