"""What the reference and the compiled stream share: the method's constants, windows, weights."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import STREAM_OVERLAP, SoundSpec, StreamInversion
from ytm_device.sound.griffin_lim import periodic_hann

Array = npt.NDArray[np.float32]

OVERLAP = STREAM_OVERLAP
GAMMA = 0.25645
"""Of the Gaussian nearest to a Hann window, over its squared length (Prusa and Sondergaard)."""
MOMENTUM = 0.9
"""The alpha of Perraudin et al. Their 0.99 is for many iterations; with a few it costs more
likeness in speech than it gains in distance."""
LEAD = 0.5
"""By how much, in the logarithm, a bin beside must be louder than the frame before to give its
phase: of two ways that are alike, the one along time is the surer."""
RISE = 8.0
"""A magnitude may grow to so many times what the pseudo-inverse said. In bins at the edge of a band
their mel would allow almost anything."""
FLOOR = 1e-6
"""Keeps the logarithm finite; 60 dB below a step of 16 bits in a window of 1,024 samples."""
TINY = 1e-9
"""A bin below this has no phase of its own."""
LEAST_COVER = 0.05
"""Share of the whole overlap below which the edge of the newest frame is not scaled up further."""
LEAST_SHARE = 1e-9
"""Of the strongest bin: where the pseudo-inverse fell below 0, so that an update can raise it."""
SEED = 2016


class StreamTables:
    """Everything about a stream that does not change while it plays."""

    def __init__(self, sound: SoundSpec, inversion: StreamInversion, matrices: MelMatrices) -> None:
        """Compute it for the sound of a bundle; `n_fft` is a power of two."""
        self.n_fft, self.bins, self.n_mels = sound.n_fft, sound.bins, sound.n_mels
        self.look_ahead, self.iterations = inversion.look_ahead_frames, inversion.iterations
        self.updates = inversion.updates
        self.frames = self.look_ahead + 1
        """Frames that are not finished when a hop is asked for."""
        self.hop = self.n_fft // OVERLAP
        """Samples between frames, and in each result."""
        self.delay = self.n_fft // 2
        """Samples from the start of a hop to the centre of the frame that it finishes."""
        self.span = self.n_fft + self.look_ahead * self.hop
        """Samples under all those frames together."""
        self.forward: Array = np.ascontiguousarray(matrices.forward, np.float32)
        """(n_mels, bins), the filter bank."""
        self.inverse: Array = np.ascontiguousarray(matrices.inverse, np.float32)
        """(bins, n_mels), its pseudo-inverse."""
        self.window = periodic_hann(self.n_fft)
        self.whole = float(np.sum(self.window**2)) / self.hop
        """What squared windows add up to, `OVERLAP` to a sample."""
        self.gain = self._gain()
        """(span,): what makes the sum of windowed frames a least-squares signal."""

    def first_phasors(self) -> npt.NDArray[np.complex64]:
        """complex64 (frames, bins): phases to begin with, the same each time."""
        turns = np.random.default_rng(SEED).random((self.frames, self.bins))
        return np.asarray(np.exp(2j * np.pi * turns), np.complex64)

    def _gain(self) -> Array:
        """Frames after the newest are missing, so its edge is scaled up, within reason."""
        cover = np.zeros(self.span, np.float32)
        for index in range(1 - OVERLAP, self.frames):
            start = index * self.hop
            squares = self.window[max(0, -start) :] ** 2
            cover[max(0, start) :][: squares.size] += squares
        return np.asarray(1 / np.maximum(cover, LEAST_COVER * self.whole), np.float32)
