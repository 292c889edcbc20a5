"""The sound card, through ALSA. The only module that imports alsaaudio."""

from __future__ import annotations

import errno
from collections.abc import Mapping

import alsaaudio
import numpy as np
import numpy.typing as npt

from ytm_bundle.errors import DeviceError
from ytm_device.sound.sink import PERIOD, PERIODS, Sink

Array = npt.NDArray[np.float32]
Samples16 = npt.NDArray[np.int16]

FULL_SCALE = 32767
_CHANNELS = 2
_ATTEMPTS = 5
"""Writes of one period before the card counts as broken."""
_SEED = 16
_PROBE_RATE_HZ = 48000


class AlsaSink(Sink):
    """A `Sink` on an ALSA PCM: 16 bits, the same in every channel."""

    def __init__(self, name: str, rate_hz: int) -> None:
        """Open the PCM `name`, such as `default` or `plughw:CARD=PCH`, for playback.

        Raises:
            DeviceError: there is no such PCM, it is in use, or it grants another rate or format.
        """
        try:
            self._pcm = alsaaudio.PCM(
                type=alsaaudio.PCM_PLAYBACK,
                mode=alsaaudio.PCM_NORMAL,
                rate=rate_hz,
                channels=_CHANNELS,
                format=alsaaudio.PCM_FORMAT_S16_LE,
                periodsize=PERIOD,
                periods=PERIODS,
                device=name,
            )
        except alsaaudio.ALSAAudioError as error:
            raise DeviceError(
                f"{name}: cannot be opened for playback ({error}); choose one that `aplay -L` lists"
            ) from error
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
        self._random = np.random.default_rng(_SEED)

    def write(self, samples: Array) -> None:
        """See `Sink.write`."""
        mono = to_int16(samples, self._random)
        frames = np.repeat(mono[:, np.newaxis], self.channels, axis=1)
        for _ in range(_ATTEMPTS):
            written = self._write_once(frames)
            if written == -errno.EPIPE:
                self.underruns += 1
            else:
                frames = frames[written:]
            if not len(frames):
                return
        raise DeviceError(
            f"{self.name}: took no samples in {_ATTEMPTS} attempts; check the card and its cable"
        )

    def close(self) -> None:
        """See `Sink.close`."""
        self._pcm.close()

    def _write_once(self, frames: Samples16) -> int:
        try:
            return int(self._pcm.write(frames))
        except alsaaudio.ALSAAudioError as error:
            raise DeviceError(
                f"{self.name}: refuses samples ({error}); is it unplugged?"
            ) from error


def check_granted(name: str, rate_hz: int, granted: Mapping[str, object]) -> None:
    """Check what `PCM.info()` says the PCM `name` gave for a request of `rate_hz`.

    Raises:
        DeviceError: the rate or format is another.
    """
    wanted = {"rate": rate_hz, "format_name": "S16_LE"}
    for key, value in wanted.items():
        if granted[key] != value:
            raise DeviceError(
                f"{name}: grants {key} {granted[key]}, the bundle's sound needs {value}; use"
                " `default` or a `plughw:` name, which convert"
            )


def to_int16(samples: Array, random: np.random.Generator) -> Samples16:
    """Quantise with triangular dither, which turns the distortion of soft sounds into even noise.

    Lipshitz, Wannamaker and Vanderkooy, "Quantization and dither", JAES 40(5), 1992.

    Args:
        samples: float32 (n,) in [-1, 1].
        random: where the dither is drawn from; two draws of one step each, so at most 1 either way.

    Returns:
        int16 (n,), full scale 32767.
    """
    draws = random.random((2, samples.size), np.float32)
    steps = np.rint(samples * FULL_SCALE + draws[0] - draws[1])
    clipped: Array = np.clip(steps, -FULL_SCALE, FULL_SCALE)
    return clipped.astype(np.int16)


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
