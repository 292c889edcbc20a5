"""The artwork's sound: Hann-windowed grains, one after the other."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import GrainInversion, SoundSpec
from ytm_device.sound.gesture import Gesture
from ytm_device.sound.griffin_lim import GriffinLim, linear_magnitude

Array = npt.NDArray[np.float32]
_SEED = 2023


class Grains:
    """An `Inverter` that works as published by Park (AIMC 2023).

    A few mel frames are inverted alone, the result is windowed, and the next grain begins where it
    ends, with the frames that follow; at the end of the mel it begins again. With 5 frames and a
    hop of 512 a grain has 2,048 samples, and the windows make the sound flutter at 23 Hz: that is
    its character, kept on purpose.
    """

    delay = 0

    def __init__(self, sound: SoundSpec, inversion: GrainInversion, matrices: MelMatrices) -> None:
        """Prepare grains of `inversion.frames` mel frames."""
        self._griffin_lim = GriffinLim(
            sound.n_fft, sound.hop, inversion.frames, inversion.iterations, _SEED
        )
        self._inverse = matrices.inverse
        self._grain_frames = inversion.frames
        self._position = 0
        self.chunk = self._griffin_lim.samples
        self._window = np.hanning(self.chunk + 1)[:-1].astype(np.float32)

    def invert(self, gesture: Gesture, out: Array, *, strike: bool) -> Gesture:
        """See `Inverter.invert`."""
        if strike:
            self._position = 0
        self.grain(gesture.power, out)
        return gesture

    def restart(self) -> None:
        """See `Inverter.restart`."""
        self._position = 0

    def grain(self, power: Array, out: Array) -> None:
        """Make the next grain of a mel, float32 (n_mels, frames), into float32 (chunk,)."""
        if self._position + self._grain_frames > power.shape[1]:
            self._position = 0
        end = self._position + self._grain_frames
        grain = linear_magnitude(power[:, self._position : end], self._inverse)
        # A grain of f frames lasts f - 1 hops, so the last frame also begins the next grain.
        self._position = end - 1
        np.multiply(self._griffin_lim.invert(grain), self._window, out=out)
