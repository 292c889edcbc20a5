"""An endless sound that follows the newest mel spectrogram, pulled as the sound card needs it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import GrainInversion, SoundSpec
from ytm_device.sound.grains import Grains
from ytm_device.sound.inverter import Inverter
from ytm_device.sound.level import fade_in, limit
from ytm_device.sound.stream import Stream

Array = npt.NDArray[np.float32]


class Player:
    """Plays the newest mel over and over until there is a newer one."""

    def __init__(self, sound: SoundSpec, matrices: MelMatrices) -> None:
        """Prepare the inverter that `sound.inversion` names; silence until the first `play`."""
        self._sound = sound
        self._inverter = _inverter(sound, matrices)
        self._chunk: Array = np.zeros(0, np.float32)
        self._used = 0
        self._newest: Array | None = None
        self._power: Array = np.zeros(sound.mel_shape, np.float32)
        self.sounding: Array | None = None
        """The mel, as it was given to `play`, that the last samples pulled were made from; None
        while silent."""
        self.delay_s = self._inverter.delay / sound.playback_rate_hz
        """Seconds from the first sample made from a mel until its first frame is fully heard."""

    def play(self, mel: Array) -> None:
        """Let the sound follow this mel from the next chunk on.

        Args:
            mel: float32 (n_mels, frames), scaled as the manifest says; kept until the next, not
                changed. What is not finite in it counts as silence.

        Raises:
            DeviceError: it has another shape or type.
        """
        if mel.shape != self._sound.mel_shape or mel.dtype != np.float32:
            raise DeviceError(
                f"mel: {mel.dtype} {mel.shape} cannot be played, the manifest says float32"
                f" {self._sound.mel_shape}; play what this bundle's sound_decoder gives"
            )
        self._newest = mel

    def pull(self, samples: int) -> Array:
        """Give the next `samples` samples: float32 (samples,) in [-1, 1], the caller's own.

        They are at `playback_rate_hz`, and depend only on what was played and how much was pulled
        between.
        """
        pulled = np.zeros(samples, np.float32)
        if self._newest is None:
            return pulled
        filled = 0
        while filled < samples:
            if self._used == self._chunk.size:
                self._next_chunk(self._newest)
            piece = self._chunk[self._used : self._used + samples - filled]
            pulled[filled : filled + piece.size] = piece
            self._used += piece.size
            filled += piece.size
        return pulled

    def _next_chunk(self, mel: Array) -> None:
        first = self.sounding is None
        if mel is not self.sounding:
            audible = np.where(np.isfinite(mel), mel, np.float32(0))
            self._power = self._sound.unscale(audible)
            self.sounding = mel
        chunk = limit(self._inverter.invert(self._power))
        self._chunk = fade_in(chunk) if first else chunk
        self._used = 0


def _inverter(sound: SoundSpec, matrices: MelMatrices) -> Inverter:
    inversion = sound.inversion
    if isinstance(inversion, GrainInversion):
        return Grains(sound, inversion, matrices)
    return Stream(sound, inversion, matrices)
