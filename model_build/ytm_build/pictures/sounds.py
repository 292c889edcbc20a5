"""What a bundle plays, and writing it as Ogg Opus that is the same each time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame

from ytm_bundle.bundle import Bundle
from ytm_bundle.files import replacing
from ytm_device.frame import Frame
from ytm_device.recording import film
from ytm_device.reflecting.reflector import Reflector
from ytm_device.sound.loudness import levels
from ytm_device.sound.player import Player, player_for
from ytm_device.sound.settings import CEILING_DBFS, LOUDNESS_LUFS

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

PICTURES_HZ = film.RATE_HZ
HEARD_S = 2.0
"""So long a mel is heard; it lasts up to a second, so it comes at least twice."""
_FADE_S = 0.02
_OPUS_HZ = 48000
_BITS_PER_S = 40_000
# A serial number drawn by chance and the encoder's version would make every file another.
_SAME_EACH_TIME = {"fflags": "+bitexact", "serial_offset": "1"}


class Voice:
    """Plays mels as the mirror and its replay play them, equally loud for every bundle."""

    def __init__(self, bundle: Bundle) -> None:
        """Measure how loud `bundle` is."""
        self._bundle, self._matrices = bundle, bundle.mel_matrices()
        self._levels = levels(bundle, LOUDNESS_LUFS)
        self.rate_hz = bundle.manifest.sound.playback_rate_hz
        """Of all but `own`."""

    def remembered(self, mel: Array) -> Array:
        """A mel, as a still of the replay: float32 (n,)."""
        return self._looped(mel, self._levels.replay_db)

    def answered(self, mel: Array) -> Array:
        """A mel, as an answer of the mirror: float32 (n,)."""
        return self._looped(mel, self._levels.mirror_db)

    def own(self, samples: Array) -> Array:
        """A recording at the loudness that was learned, as loud as a still of it."""
        loud = samples * np.float32(10 ** (self._levels.replay_db / 20))
        ceiling = 10 ** (CEILING_DBFS / 20)
        peak = max(float(np.abs(loud).max()), ceiling)
        return np.asarray(loud * np.float32(ceiling / peak), np.float32)

    def live(self, pictures: Iterable[Pixels]) -> Array:
        """What the mirror plays before these pictures, of which `PICTURES_HZ` pass in a second."""
        player, parts, given = player_for(self._bundle), [], 0
        with Reflector(self._bundle) as reflector:
            for index, pixels in enumerate(pictures):
                frame = Frame(pixels, index * 1_000_000_000 // PICTURES_HZ, index, "pictures")
                reflection = reflector.reflect(frame)
                player.follow(reflection.mel, reflection.moved_ns)
                due = (index + 1) * self.rate_hz // PICTURES_HZ
                parts.append(player.pull(due - given))
                given = due
        return np.concatenate(parts)

    def _looped(self, mel: Array, gain_db: float) -> Array:
        player = Player(self._bundle.manifest.sound, self._matrices, gain_db=gain_db)
        player.follow(mel)
        return player.pull(round(HEARD_S * self.rate_hz))


def write_opus(path: Path, samples: Array, rate_hz: int) -> None:
    """Write float32 (n,) as mono Ogg Opus, faded in and out so that it does not click."""
    faded = _faded(samples, rate_hz)
    with (
        replacing(path) as temporary,
        av.open(str(temporary), "w", format="ogg", options=_SAME_EACH_TIME) as container,
    ):
        stream = container.add_stream("libopus", rate=_OPUS_HZ, layout="mono")
        stream.bit_rate = _BITS_PER_S
        frame = AudioFrame.from_ndarray(faded[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = rate_hz, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _faded(samples: Array, rate_hz: int) -> Array:
    length = min(round(_FADE_S * rate_hz), samples.size // 2)
    gain = np.ones(samples.size, np.float32)
    gain[:length] = np.linspace(0, 1, length, endpoint=False)
    gain[samples.size - length :] = gain[:length][::-1]
    return samples * gain
