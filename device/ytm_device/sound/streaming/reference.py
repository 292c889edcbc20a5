"""The streaming inverter in NumPy: the method as it is meant to be read."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from ytm_device.sound.streaming import tables
from ytm_device.sound.streaming.tables import Array, StreamTables

Spectra = npt.NDArray[np.complex64]

_TINIEST = np.float32(1e-20)


class ReferenceStream:
    """An endless inversion of mel frames that come one by one.

    1. A mel frame gives a first linear spectrum: pseudo-inverse, then multiplicative updates (Lee
       and Seung, "Algorithms for non-negative matrix factorization", NIPS 2000).
    2. Its first phase follows from the frame before and from the gradients that a spectrum's
       magnitudes imply (Prusa and Sondergaard, "Real-time spectrogram inversion using phase
       gradient heap integration", DAFx 2016). Each bin takes it along time, or across from a louder
       bin beside it. The heap of that paper finds the same ways as the two sweeps here.
    3. Fast Griffin-Lim iterations (Perraudin, Balazs and Sondergaard, WASPAA 2013) fit the newest
       frame and its look-ahead to the past, which stays as it was played; see also Zhu, Beauregard
       and Wyse, "Real-time signal estimation from modified short-time Fourier transform magnitude
       spectra", IEEE TASLP 15(5), 2007.
    4. Only the mel is known, so in the second half of the iterations only the mel is held: the
       magnitudes become those of the signal, scaled by what brings each band to its mel. Bins
       within a band are free to be what a signal can have; compare the joint estimation of
       Masuyama, Ueno and Ono, "Mel-spectrogram inversion via alternating direction method of
       multipliers", 2022.

    Windows are Hann, `OVERLAP` to a sample. Everything that one hop hands to the next is in here.
    """

    def __init__(self, shared: StreamTables) -> None:
        """Begin in silence."""
        self._tables = shared
        self._signal = np.zeros(shared.span, np.float32)
        self._views = sliding_window_view(self._signal, shared.n_fft)[:: shared.hop]
        self._cover = shared.forward.sum(axis=0) + np.float32(1e-12)
        self.restart()

    def restart(self) -> None:
        """Begin in silence again, as when it was made."""
        shared = self._tables
        frames, bins = shared.frames, shared.bins
        self._mel = np.zeros((frames, shared.n_mels), np.float32)
        self._start = np.zeros((frames, bins), np.float32)
        self._phasors = shared.first_phasors()
        self._past = np.zeros(shared.span, np.float32)

    def revise(self, frame: int, power: Array) -> None:
        """Put another mel under a frame that is not finished.

        Args:
            frame: 0 is the one that the next `push` finishes; below the look-ahead.
            power: float32 (n_mels,), >= 0, finite.
        """
        self._mel[frame + 1] = power
        self._start[frame + 1] = self._linear(power)

    def push(self, power: Array, out: Array) -> None:
        """Take the newest frame, give the next hop.

        Args:
            power: float32 (n_mels,), mel power, >= 0, finite.
            out: float32 (hop,), is overwritten: the first samples under the frame that is finished.
        """
        before = self._start[-1].copy()
        for rows in (self._mel, self._start, self._phasors):
            rows[:-1] = rows[1:]
        self._mel[-1], self._start[-1] = power, self._linear(power)
        self._phasors[-1] = self._first_phase(before, self._start[-1], self._phasors[-1])
        spectra = self._start * self._phasors
        rebuilt: Spectra | None = None
        for iteration in range(self._tables.iterations):
            last, rebuilt = rebuilt, self._analyse(self._pieces(spectra))
            ahead = rebuilt
            if last is not None:
                ahead = rebuilt + np.float32(tables.MOMENTUM) * (rebuilt - last)
            size = np.maximum(np.abs(ahead), np.float32(tables.TINY))
            if iteration < self._tables.iterations // 2:
                spectra = ahead * (self._start / size)
            else:
                spectra = ahead * self._factors(size)
        size = np.abs(spectra)
        # Where nothing sounds the phase stays, so that it is there when something does.
        np.divide(spectra, size, out=self._phasors, where=size > tables.TINY)
        self._finish(self._pieces(spectra[:1])[0], out)

    def _linear(self, power: Array) -> Array:
        """Mel power, float32 (n_mels,) -> a first linear magnitude, float32 (bins,)."""
        forward = self._tables.forward
        linear: Array = np.maximum(self._tables.inverse @ power, 0)
        if self._tables.updates:
            linear = np.maximum(linear, np.float32(tables.LEAST_SHARE) * np.max(linear))
            wanted = power @ forward
        for _ in range(self._tables.updates):
            linear *= wanted / np.maximum((forward @ linear) @ forward, _TINIEST)
        return np.sqrt(linear, out=linear)

    def _first_phase(self, before: Array, now: Array, phasors: Spectra) -> Spectra:
        """Phasors for magnitudes `now`, given `phasors` and magnitudes `before`, a hop earlier."""
        before, now = (np.log(each + np.float32(tables.FLOOR)) for each in (before, now))
        rise = now - before
        # Where it is silent for days, rounding would let a phasor grow or shrink for ever.
        phasors = np.asarray(phasors / np.abs(phasors), np.complex64)
        # Half of the gradient of each of two bins; pi, since a frame begins before its centre.
        across = np.exp(-1j * (np.pi + tables.GAMMA * tables.OVERLAP / 4 * (rise[1:] + rise[:-1])))
        found = phasors * np.exp(0.5j * (_time_gradient(before) + _time_gradient(now)))
        reached = before + tables.LEAD
        for bin_ in range(1, now.size):
            through = min(reached[bin_ - 1], now[bin_ - 1])
            if through > reached[bin_]:
                reached[bin_] = through
                found[bin_] = found[bin_ - 1] * across[bin_ - 1]
        for bin_ in range(now.size - 2, -1, -1):
            through = min(reached[bin_ + 1], now[bin_ + 1])
            if through > reached[bin_]:
                reached[bin_] = through
                found[bin_] = found[bin_ + 1] * across[bin_].conj()
        return np.asarray(found, np.complex64)

    def _factors(self, size: Array) -> Array:
        """What brings spectra of magnitudes `size`, (frames, bins), nearest to the known mel."""
        band = size**2 @ self._tables.forward.T
        least = np.float32(1e-12) * self._mel + _TINIEST
        change = (self._mel / np.maximum(band, least)) @ self._tables.forward / self._cover
        most = np.float32(tables.RISE) * self._start / size
        return np.asarray(np.minimum(np.sqrt(change), most), np.float32)

    def _pieces(self, spectra: Spectra) -> Array:
        """Windowed frames, float32 (frames, n_fft), of complex64 (frames, bins)."""
        pieces = np.fft.irfft(spectra, self._tables.n_fft, axis=-1).astype(np.float32, copy=False)
        pieces *= self._tables.window
        return pieces

    def _analyse(self, pieces: Array) -> Spectra:
        """Spectra of the signal that these pieces and the past make together."""
        signal = self._signal
        signal[:] = self._past
        for index, piece in enumerate(pieces):
            signal[index * self._tables.hop :][: piece.size] += piece
        signal *= self._tables.gain
        spectra = np.fft.rfft(self._views * self._tables.window, axis=-1)
        return spectra.astype(np.complex64, copy=False)

    def _finish(self, piece: Array, out: Array) -> None:
        """Let the oldest frame become past; what no later frame reaches is done."""
        hop = self._tables.hop
        self._past[: piece.size] += piece
        np.divide(self._past[:hop], np.float32(self._tables.whole), out=out)
        self._past[:-hop] = self._past[hop:]
        self._past[-hop:] = 0


def _time_gradient(logarithm: Array) -> npt.NDArray[np.float64]:
    """How far the phase turns in a hop, (bins,), radians modulo one turn."""
    # Whole turns are left out, since float32 would lose the rest in them.
    turn = 2 * np.pi / tables.OVERLAP * (np.arange(logarithm.size) % tables.OVERLAP)
    slope = np.zeros(logarithm.size)
    slope[1:-1] = logarithm[2:] - logarithm[:-2]
    return np.asarray(turn + slope / (2 * tables.GAMMA * tables.OVERLAP))
