"""Magnitudes in, samples out, one hop at a time: the phase is found while the sound plays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ytm_device.sound.griffin_lim import periodic_hann

Array = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex64]

OVERLAP = 4
"""Frames that cover a sample. With two, no number of iterations removes the beat of the hop."""
_GAMMA = 0.25645
"""Of the Gaussian nearest to a Hann window, over its squared length (Prusa and Sondergaard)."""
_LEAST_COVER = 0.15
"""Share of the whole overlap below which the edge of the newest frame is not scaled up further."""
_MOMENTUM = np.float32(0.85)
"""The alpha of Perraudin et al. Their 0.99 is for many iterations; with a few it costs more
likeness in speech than it gains in distance."""
_TINY = np.float32(1e-9)
"""A bin below this has no phase of its own."""
_FLOOR = np.float32(1e-6)
"""Keeps the logarithm finite; 60 dB below a step of 16 bits in a window of 1,024 samples."""
_SEED = 2016


class PhaseStream:
    """An endless inverse short-time Fourier transform of magnitudes that come one by one.

    A new frame begins with the phase of the one before it, turned by the time gradient that the
    magnitudes of both imply in each bin (Prusa and Sondergaard, "Real-time spectrogram inversion
    using phase gradient heap integration", DAFx 2016). Then fast Griffin-Lim iterations (Perraudin
    et al., 2013) make it fit its look-ahead and the past, which stays as it was played; see also
    Zhu, Beauregard and Wyse, "Real-time signal estimation from modified short-time Fourier
    transform magnitude spectra", IEEE TASLP 15(5), 2007.

    Windows are Hann, `OVERLAP` to a sample. Everything that one hop hands to the next is in here.
    """

    def __init__(self, n_fft: int, look_ahead: int, iterations: int) -> None:
        """Begin in silence.

        Args:
            n_fft: samples in a window, a multiple of `OVERLAP`.
            look_ahead: frames after the one being finished that take part in the iterations.
            iterations: for each hop.
        """
        self.hop = n_fft // OVERLAP
        """Samples between frames, and in each result."""
        self.delay = look_ahead * self.hop + n_fft // 2
        """Samples from a frame's arrival until the sound reaches its centre."""
        self._n_fft, self._iterations = n_fft, iterations
        self._bins = np.arange(n_fft // 2 + 1, dtype=np.float32)
        frames, bins = look_ahead + 1, self._bins.size
        self._window = periodic_hann(n_fft)
        self._pending = np.zeros((frames, bins), np.float32)
        turns = np.random.default_rng(_SEED).random((frames, bins), np.float32)
        self._phasors: Spectra = np.exp(np.complex64(2j * np.pi) * turns)
        self._gradient = self._time_gradient(self._pending[-1])
        span = n_fft + look_ahead * self.hop
        self._past = np.zeros(span, np.float32)
        self._signal = np.zeros(span, np.float32)
        self._frames = sliding_window_view(self._signal, n_fft)[:: self.hop]
        self._whole = float(np.sum(self._window**2)) / self.hop
        self._gain = self._cover(frames)

    def push(self, magnitude: Array) -> Array:
        """Take the next frame, give the next hop.

        Args:
            magnitude: float32 (bins,), >= 0, finite: of the newest frame.

        Returns:
            float32 (hop,), the caller's; its last sample is `delay - 1` before the newest frame's
            centre.
        """
        self._take(magnitude)
        spectra = self._pending * self._phasors
        previous: Spectra | None = None
        for _ in range(self._iterations):
            rebuilt = self._analyse(self._pieces(spectra))
            ahead = rebuilt
            if previous is not None:
                ahead = rebuilt + _MOMENTUM * (rebuilt - previous)
            previous = rebuilt
            # Several times faster than np.abs and a complex division.
            size = np.sqrt(ahead.real**2 + ahead.imag**2)
            np.multiply(ahead, self._pending / np.maximum(size, _TINY), out=spectra)
        # Where nothing sounds the phase stays, so that it is there when something does.
        np.divide(ahead, size, out=self._phasors, where=size > _TINY)
        return self._finish(self._pieces(spectra[:1])[0])

    def _take(self, magnitude: Array) -> None:
        gradient = self._time_gradient(magnitude)
        turn = np.exp(np.complex64(0.5j) * (gradient + self._gradient))
        newest = self._phasors[-1] * turn
        self._phasors[:-1] = self._phasors[1:]
        self._phasors[-1] = newest
        self._pending[:-1] = self._pending[1:]
        self._pending[-1] = magnitude
        self._gradient = gradient

    def _time_gradient(self, magnitude: Array) -> Array:
        """How far the phase turns in a hop, float32 (bins,), radians modulo one turn."""
        # Whole turns are left out, since float32 would lose the rest in them.
        turn = np.float32(2 * np.pi / OVERLAP) * (self._bins % OVERLAP)
        slope = np.zeros_like(magnitude)
        logarithm = np.log(magnitude + _FLOOR)
        slope[1:-1] = logarithm[2:] - logarithm[:-2]
        return np.asarray(turn + np.float32(1 / (2 * _GAMMA * OVERLAP)) * slope, np.float32)

    def _pieces(self, spectra: Spectra) -> Array:
        """Windowed frames, float32 (frames, n_fft), of complex64 (frames, bins)."""
        pieces = np.fft.irfft(spectra, self._n_fft, axis=-1).astype(np.float32, copy=False)
        pieces *= self._window
        return pieces

    def _analyse(self, pieces: Array) -> Spectra:
        """Spectra of the signal that these pieces and the past make together."""
        signal = self._signal
        signal[:] = self._past
        for index, piece in enumerate(pieces):
            signal[index * self.hop :][: self._n_fft] += piece
        signal *= self._gain
        return np.fft.rfft(self._frames * self._window, axis=-1).astype(np.complex64, copy=False)

    def _finish(self, piece: Array) -> Array:
        """Let the oldest pending frame become past; what no later frame reaches is done."""
        self._past[: self._n_fft] += piece
        done: Array = self._past[: self.hop] / np.float32(self._whole)
        self._past[: -self.hop] = self._past[self.hop :]
        self._past[-self.hop :] = 0
        return done

    def _cover(self, frames: int) -> Array:
        """Least-squares weight of each sample, given that frames after the newest are missing."""
        cover = np.zeros_like(self._past)
        for index in range(1 - OVERLAP, frames):
            start = index * self.hop
            squares = self._window[max(0, -start) :] ** 2
            cover[max(0, start) :][: squares.size] += squares
        return np.asarray(1 / np.maximum(cover, _LEAST_COVER * self._whole), np.float32)
