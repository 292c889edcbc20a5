"""A short sound from a mel spectrogram: pseudo-inverse, then the fast Griffin-Lim algorithm."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Spectra = npt.NDArray[np.complex64]

MOMENTUM = 0.99
"""The alpha that Perraudin et al. found best."""
_TINY = np.float32(1e-12)
"""Keeps the phase of an empty bin defined; far below the magnitude of any sound."""


def linear_magnitude(power: Array, inverse: Array) -> Array:
    """Undo the mel filter bank.

    Args:
        power: float32 (n_mels, frames), mel power, >= 0.
        inverse: float32 (bins, n_mels), pseudo-inverse of the filter bank.

    Returns:
        float32 (frames, bins), magnitude, >= 0. Where the pseudo-inverse falls below 0, which no
        power does, it is 0.
    """
    magnitude: Array = np.sqrt(np.maximum(power.T @ inverse.T, 0))
    return magnitude


class GriffinLim:
    """Finds a signal whose spectrogram has given magnitudes, a fixed number of frames at a time.

    Perraudin, Balazs and Sondergaard, "A fast Griffin-Lim algorithm", WASPAA 2013. Frames are
    Hann windows centred on multiples of the hop, with silence before and after, as librosa's.
    """

    def __init__(self, n_fft: int, hop: int, frames: int, iterations: int, seed: int) -> None:
        """Prepare for magnitudes of shape (frames, n_fft // 2 + 1).

        The first phase is drawn anew for each signal from a generator started with `seed`.
        """
        self.samples = (frames - 1) * hop
        """Length of the signal."""
        self._n_fft, self._hop, self._frames, self._iterations = n_fft, hop, frames, iterations
        self._random = np.random.default_rng(seed)
        self._window = periodic_hann(n_fft)
        self._padded = np.zeros(self.samples + n_fft, np.float32)
        self._views = np.lib.stride_tricks.sliding_window_view(self._padded, n_fft)[::hop]
        self._signal: Array = self._padded[n_fft // 2 : n_fft // 2 + self.samples]
        self._gain = np.ones_like(self._signal)
        self._overlap_add(np.broadcast_to(self._window**2, (frames, n_fft)))
        self._gain = 1 / np.maximum(self._signal, _TINY)

    def invert(self, magnitude: Array) -> Array:
        """Turn magnitudes, float32 (frames, bins), >= 0, into float32 (samples,), the caller's."""
        angles = self._random.random(magnitude.shape, np.float32) * np.float32(2 * np.pi)
        spectra: Spectra = np.empty(magnitude.shape, np.complex64)
        np.multiply(magnitude, np.cos(angles), out=spectra.real)
        np.multiply(magnitude, np.sin(angles), out=spectra.imag)
        previous: Spectra = np.zeros_like(spectra)
        for _ in range(self._iterations):
            self._synthesise(spectra)
            rebuilt = self._analyse()
            ahead = rebuilt - np.float32(MOMENTUM / (1 + MOMENTUM)) * previous
            spectra = ahead * (magnitude / np.maximum(np.abs(ahead), _TINY))
            previous = rebuilt
        self._synthesise(spectra)
        return np.array(self._signal)

    def _synthesise(self, spectra: Spectra) -> None:
        """Inverse STFT of complex64 (frames, bins) into the signal: least squares."""
        pieces = np.fft.irfft(spectra, self._n_fft, axis=-1).astype(np.float32, copy=False)
        self._overlap_add(pieces * self._window)

    def _overlap_add(self, pieces: Array) -> None:
        self._padded[:] = 0
        for index, piece in enumerate(pieces):
            start = index * self._hop
            self._padded[start : start + self._n_fft] += piece
        self._padded[: self._n_fft // 2] = 0
        self._padded[self._n_fft // 2 + self.samples :] = 0
        self._signal *= self._gain

    def _analyse(self) -> Spectra:
        """STFT of the signal, complex64 (frames, bins)."""
        spectra = np.fft.rfft(self._views * self._window, axis=-1)
        return spectra.astype(np.complex64, copy=False)


def periodic_hann(length: int) -> Array:
    """The window of the analysis: one period of a raised cosine, float32 (length,)."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)).astype(np.float32)
