"""The sound card, through ALSA. The only module that imports alsaaudio."""

from __future__ import annotations

import ctypes
import errno
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import alsaaudio
import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import CardGoneError, DeviceError
from ytm_device.sound.level import rising
from ytm_device.sound.sink import PERIOD, PERIODS, Sink

Array = npt.NDArray[np.float32]
Samples16 = npt.NDArray[np.int16]

FULL_SCALE = 32767
_CHANNELS = 2
_MAX_CHANNELS = 8
_ATTEMPTS = 5
"""Writes of one period before the card counts as broken."""
SLACK_S = 1.0
"""A PCM that is further ahead of the clock does not keep time."""
WATCHED_S = 10.0
"""Seconds over which that is watched."""
_NS_PER_S = 1_000_000_000
_PLAYBACK, _NONBLOCK = 0, 1
"""Of snd_pcm_open."""
_SEED = 16
_PROBE_RATE_HZ = 48000
_CONVERTING = "use `default` or a `plughw:` name, which convert"


class AlsaSink(Sink):
    """A `Sink` on an ALSA PCM: 16 bits, the same in every channel."""

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
        self._pcm = _open(name, rate_hz, periods)
        granted = self._pcm.info()
        try:
            check_granted(name, rate_hz, granted)
        except DeviceError:
            self._pcm.close()
            raise
        self.name, self.rate_hz = name, rate_hz
        self.channels: int = granted["channels"]
        self.period: int = granted["period_size"]
        self.buffer: int = granted["buffer_size"]
        self.underruns = 0
        self._quantise = Quantiser(self.period, self.channels, ceiling_dbfs)
        self._slack_s = max(SLACK_S, 2 * self.buffer / rate_hz)
        self._since_ns, self._taken = time.monotonic_ns(), 0

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        frames = self._quantise(samples)
        for _ in range(_ATTEMPTS):
            written = self._write_once(frames)
            if written < 0:
                # What is written again follows on nothing: its first sample would be a click.
                self.underruns += 1
                fade_in = rising(len(frames))[:, np.newaxis]
                np.multiply(frames, fade_in, out=frames, casting="unsafe")
            elif written == len(frames):
                self._keep_pace(samples.size)
                return
            else:
                frames = frames[written:]
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
        self._pcm.close()

    def abandon(self) -> None:
        """Release the device at once, whatever is still to be heard."""
        with suppress(alsaaudio.ALSAAudioError):
            self._pcm.drop()
        self._pcm.close()

    def _write_once(self, frames: Samples16) -> int:
        """Write, and give how many frames it took; negative if it had stopped before."""
        try:
            written = int(self._pcm.write(frames))
        except alsaaudio.ALSAAudioError as error:
            # The error carries no number, so the state says which kind it is.
            if self._pcm.state() == alsaaudio.PCM_STATE_SUSPENDED:
                self._restart()
                return -errno.ESTRPIPE
            raise self._gone(error) from error
        if self._pcm.state() == alsaaudio.PCM_STATE_DISCONNECTED:
            raise self._gone("disconnected")
        return written

    def _restart(self) -> None:
        """Leave the suspended state: a write prepares what was dropped."""
        try:
            self._pcm.drop()
        except alsaaudio.ALSAAudioError as error:
            raise self._gone(error) from error

    def _gone(self, why: object) -> CardGoneError:
        return CardGoneError(
            f"{self.name}: takes no more samples ({why}); check that it is plugged in"
        )


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


def can_be_opened(name: str) -> bool:
    """Whether the PCM `name` could be opened just now.

    For who asks for months: at an attempt that fails, pyalsaaudio loses memory, and this does not.
    """
    library = ctypes.CDLL("libasound.so.2")
    handle = ctypes.c_void_p()
    if library.snd_pcm_open(ctypes.byref(handle), name.encode(), _PLAYBACK, _NONBLOCK) < 0:
        return False
    library.snd_pcm_close(handle)
    return True


def _open(name: str, rate_hz: int, periods: int) -> Any:
    try:
        return alsaaudio.PCM(
            type=alsaaudio.PCM_PLAYBACK,
            mode=alsaaudio.PCM_NORMAL,
            rate=rate_hz,
            channels=_CHANNELS,
            format=alsaaudio.PCM_FORMAT_S16_LE,
            periodsize=PERIOD,
            periods=periods,
            device=name,
        )
    except alsaaudio.ALSAAudioError as error:
        raise DeviceError(
            f"{name}: cannot be opened for playback ({error}); choose one that `aplay -L` lists"
        ) from error


def check_granted(name: str, rate_hz: int, granted: Mapping[str, Any]) -> None:
    """Check what `PCM.info()` says the PCM `name` gave for a request of `rate_hz`.

    Raises:
        DeviceError: the rate or format is another, or the channels or buffer make no sense.
    """
    wanted = {"rate": rate_hz, "format_name": "S16_LE"}
    for key, value in wanted.items():
        if granted[key] != value:
            raise DeviceError(
                f"{name}: grants {key} {granted[key]}, the bundle's sound needs {value};"
                f" {_CONVERTING}"
            )
    channels, period = granted["channels"], granted["period_size"]
    if not 1 <= channels <= _MAX_CHANNELS:
        raise DeviceError(
            f"{name}: grants channels {channels}, 1 to {_MAX_CHANNELS} can be played on;"
            f" {_CONVERTING}"
        )
    if period < 1:
        raise DeviceError(f"{name}: grants period_size {period}, it takes 1 or more; {_CONVERTING}")
    if granted["buffer_size"] < 2 * period:
        raise DeviceError(
            f"{name}: grants buffer_size {granted['buffer_size']} for period_size {period}, without"
            f" gaps it takes {2 * period} or more; {_CONVERTING}"
        )


_LIBASOUND = ctypes.CDLL("libasound.so.2")
# Of the handler's arguments, only those before the variable ones can be declared.
_IGNORE = ctypes.CFUNCTYPE(
    None, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p
)(lambda *_: None)


@contextmanager
def hushed() -> Iterator[None]:
    """Keep libasound from complaining on stderr, for what is tried again and again."""
    _LIBASOUND.snd_lib_error_set_handler(_IGNORE)
    try:
        yield
    finally:
        _LIBASOUND.snd_lib_error_set_handler(None)


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
        sink.close()
        return name
    return None


def _candidates() -> list[str]:
    try:
        cards = [f"plughw:CARD={card}" for card in alsaaudio.cards()]
    except alsaaudio.ALSAAudioError:
        cards = []
    listed = alsaaudio.pcms(alsaaudio.PCM_PLAYBACK)
    # Without a card, opening a `default` that is not listed only makes libasound complain aloud.
    default = ["default"] if cards or "default" in listed else []
    return list(
        dict.fromkeys([*default, *(name for name in listed if name.startswith("plughw:")), *cards])
    )
