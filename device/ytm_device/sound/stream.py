"""Sound without seams: a playhead, the linear spectrum under it, and its phase."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.sound.gesture import Gesture, column, steps_in
from ytm_device.sound.linear import LinearSpectrum
from ytm_device.sound.phase_stream import OVERLAP, PhaseStream

Array = npt.NDArray[np.float32]


def steps_per_frame(sound: SoundSpec) -> int:
    """Hops of the stream for each mel frame: 1, or 2 if the mel's hop is half its window."""
    return sound.hop * OVERLAP // sound.n_fft


def stream_whole(
    power: Array, sound: SoundSpec, inversion: StreamInversion, matrices: MelMatrices
) -> Array:
    """Play a mel of any length once, in place.

    Args:
        power: float32 (n_mels, frames), mel power, >= 0, finite.
        sound: how it was analysed.
        inversion: how it is to be inverted.
        matrices: of the filter bank.

    Returns:
        float32 ((frames - 1) * sound.hop,): the sound from the first frame's centre to the last's.
    """
    linear = LinearSpectrum(matrices, inversion.updates)
    phase = PhaseStream(sound.n_fft, inversion.look_ahead_frames, inversion.iterations)
    ratio = steps_per_frame(sound)
    steps = steps_in(power.shape[1], ratio)
    hops = [phase.push(linear.magnitude(column(power, step, ratio))) for step in range(steps)]
    silence = np.zeros(sound.bins, np.float32)
    hops += [phase.push(silence) for _ in range(phase.delay // phase.hop)]
    return np.concatenate(hops)[phase.delay :][: (power.shape[1] - 1) * sound.hop]


class Stream:
    """An `Inverter` whose sound never stops or starts anew, whatever mels arrive."""

    def __init__(self, sound: SoundSpec, inversion: StreamInversion, matrices: MelMatrices) -> None:
        """Begin in silence."""
        self._phase = PhaseStream(sound.n_fft, inversion.look_ahead_frames, inversion.iterations)
        self._linear = LinearSpectrum(matrices, inversion.updates)
        step_s = self._phase.hop / sound.analysis_rate_hz
        self._gesture = Gesture(sound.mel_shape, steps_per_frame(sound), step_s)
        self.chunk, self.delay = self._phase.hop, self._phase.delay

    def invert(self, power: Array) -> Array:
        """See `Inverter.invert`."""
        return self._phase.push(self._linear.magnitude(self._gesture.next(power)))
