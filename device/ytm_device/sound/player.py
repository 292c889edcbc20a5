"""An endless sound that follows the newest mel spectrogram, pulled as the sound card needs it."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle, MelMatrices
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import GrainInversion, SoundSpec
from ytm_device.sound.gesture import Gesture, lay_out
from ytm_device.sound.grains import Grains
from ytm_device.sound.inverter import Inverter
from ytm_device.sound.limiter import Limiter
from ytm_device.sound.loudness import levels
from ytm_device.sound.settings import CEILING_DBFS, LOUDNESS_LUFS
from ytm_device.sound.streaming.stream import Stream, step_s, steps_per_frame
from ytm_device.sound.volume import Gain

Array = npt.NDArray[np.float32]


class Player:
    """Plays the newest gesture over and over until there is a newer one.

    One thread pulls; another may call `follow`.
    """

    def __init__(
        self,
        sound: SoundSpec,
        matrices: MelMatrices,
        *,
        gain_db: float = 0.0,
        ceiling_dbfs: float = CEILING_DBFS,
        strikes: bool = True,
    ) -> None:
        """Prepare the inverter that `sound.inversion` names; silence until the first `follow`.

        Args:
            sound: of the bundle.
            matrices: of its filter bank.
            gain_db: before the limiter.
            ceiling_dbfs: <= 0; no sample is louder.
            strikes: a picture that has changed suddenly strikes the sound anew.

        Raises:
            DeviceError: the compiled library cannot be used.
        """
        self._sound, self._strikes = sound, strikes
        self._inverter = _inverter(sound, matrices)
        inverter = self._inverter
        self.stream = inverter.chosen if isinstance(inverter, Stream) else None
        """What streams the sound; None where it is made of grains."""
        self.chunk = chunk = inverter.chunk
        """Samples that are made at a time."""
        self.gain = Gain(chunk, sound.playback_rate_hz)
        """Any thread may set its `target_db`."""
        self.gain.target_db = gain_db
        self._limiter = Limiter(chunk, sound.playback_rate_hz, ceiling_dbfs)
        self._made = np.zeros(chunk, np.float32)
        self._chunk: Array = self._made
        self._used = chunk
        # Written by `follow` alone, in one step: the newest gesture, and how many strikes so far.
        self._newest: tuple[Gesture | None, int] = (None, 0)
        self._struck = 0
        self._moved_ns: int | None = None
        self.sounding: Gesture | None = None
        """What the last samples pulled follow; None while silent. Written where samples are
        pulled."""
        self.restarts = 0
        """How often the sound began again because it was not finite."""
        self.delay_s = (self._inverter.delay + self._limiter.delay) / sound.playback_rate_hz
        """Seconds from the first sample that follows a gesture to the middle of the first frame
        that is made of it."""

    def follow(self, mel: Array, moved_ns: int = 0) -> Gesture:
        """Let the sound follow this mel from the next chunk on.

        Args:
            mel: float32 (n_mels, frames), scaled as the manifest says; not kept. What is not finite
                in it counts as silence.
            moved_ns: when the picture that it answers last changed suddenly; 0: unknown.

        Returns:
            What `sounding` will be once the sound follows it.

        Raises:
            DeviceError: it has another shape or type.
        """
        if mel.shape != self._sound.mel_shape or mel.dtype != np.float32:
            raise DeviceError(
                f"mel: {mel.dtype} {mel.shape} cannot be played, the manifest says float32"
                f" {self._sound.mel_shape}; play what this bundle's sound_decoder gives"
            )
        power = self._sound.unscale(np.where(np.isfinite(mel), mel, np.float32(0)))
        gesture = lay_out(power, steps_per_frame(self._sound), step_s(self._sound))
        self._newest = (gesture, self._newest[1] + self._moved(moved_ns))
        return gesture

    @property
    def strikes(self) -> int:
        """How often the sound was struck anew."""
        return self._newest[1]

    def _moved(self, moved_ns: int) -> bool:
        """Whether there was a sudden change since the last call, and it counts."""
        before = self._moved_ns
        # A replay between two answers knows of no change, and makes none.
        self._moved_ns = max(moved_ns, before or 0)
        return self._strikes and before is not None and moved_ns > before

    def pull(self, samples: int) -> Array:
        """The next `samples` samples, float32 (samples,), the caller's own; see `fill`."""
        pulled = np.empty(samples, np.float32)
        self.fill(pulled)
        return pulled

    def fill(self, out: Array) -> None:
        """Overwrite `out`, float32 (n,), with the next n samples, none above the ceiling.

        They are at `playback_rate_hz`, and depend only on what was played and how much was pulled
        between.
        """
        if self._newest[0] is None:
            out[:] = 0
            return
        filled = 0
        while filled < out.size:
            if self._used == self._chunk.size:
                self._next_chunk()
            piece = self._chunk[self._used : self._used + out.size - filled]
            out[filled : filled + piece.size] = piece
            self._used += piece.size
            filled += piece.size

    def _next_chunk(self) -> None:
        gesture, strikes = self._newest
        assert gesture is not None
        self.sounding = self._inverter.invert(gesture, self._made, strike=strikes != self._struck)
        self._struck = strikes
        if not math.isfinite(np.add.reduce(self._made)):
            # What is once not a number would stay so, through the phase, for ever.
            self._inverter.restart()
            self.gain.restart()
            self._made[:] = 0
            self.restarts += 1
        self.gain.apply(self._made)
        self._chunk = self._limiter.process(self._made)
        self._used = 0


def player_for(bundle: Bundle) -> Player:
    """A player whose answers are as loud as those of any other bundle: `LOUDNESS_LUFS`."""
    mirror_db = levels(bundle, LOUDNESS_LUFS).mirror_db
    return Player(bundle.manifest.sound, bundle.mel_matrices(), gain_db=mirror_db)


def _inverter(sound: SoundSpec, matrices: MelMatrices) -> Inverter:
    inversion = sound.inversion
    if isinstance(inversion, GrainInversion):
        return Grains(sound, inversion, matrices)
    return Stream(sound, inversion, matrices)
