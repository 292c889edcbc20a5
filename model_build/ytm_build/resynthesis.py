"""A recording to mel and back to sound, by each method, with figures of what was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import librosa
import numpy as np
import numpy.typing as npt
from scipy import signal

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import SoundSpec, StreamInversion
from ytm_device.sound.grains import Grains
from ytm_device.sound.modes import GRAINS, QUALITY, STREAM, ZERO
from ytm_device.sound.streaming.stream import stream_whole
from ytm_device.sound.streaming.tables import OVERLAP
from ytm_training.learn.config import PAPER

Array = npt.NDArray[np.float32]

LIBROSA_ITERATIONS = 32
_SEED = 0
_RANGE_DB = 80.0
"""Below the loudest mel, what differs is not counted."""
_ENVELOPE_SAMPLES = 64
_MODULATION_BAND_HZ = 1.0
_TINY = 1e-20


@dataclass(frozen=True)
class Figures:
    """How far a result is from its recording."""

    seconds: float
    """Length of the result."""
    spectral_convergence: float
    """Distance of the mel magnitudes from the recording's, over their norm; 0 is the same."""
    log_spectral_distance_db: float
    """Root mean square, over all mels, of the difference in level."""
    hop_rate_hz: float
    hop_modulation_db: float
    """Energy of the envelope at the mel's hop rate, against the recording's."""
    grain_rate_hz: float
    grain_modulation_db: float
    """Energy of the envelope at the rate of the artwork's grains, against the recording's."""


def mel_of(samples: Array, sound: SoundSpec, matrices: MelMatrices, hop: int) -> Array:
    """Mel power, float32 (n_mels, frames), of float32 (samples,)."""
    spectrum = librosa.stft(samples, n_fft=sound.n_fft, hop_length=hop)
    return np.asarray(matrices.forward @ np.abs(spectrum) ** 2, np.float32)


def holding(sound: SoundSpec, power: Array) -> SoundSpec:
    """The same sound, scaled so that mel power of any shape just fits below its ceiling.

    Training leaves out the very loudest, which would be a loss of its own.
    """
    ceiling_db = float(np.ceil(10 * np.log10(max(float(np.max(power)), _TINY))))
    range_db = sound.ceiling_db - sound.floor_db
    return sound.model_copy(update={"ceiling_db": ceiling_db, "floor_db": ceiling_db - range_db})


def resynthesise(power: Array, sound: SoundSpec, matrices: MelMatrices, method: str) -> Array:
    """Turn a mel of any length into sound.

    Args:
        power: float32 (n_mels, frames), mel power, >= 0.
        sound: how it was analysed.
        matrices: of the filter bank.
        method: one of `METHODS`.

    Returns:
        float32 (samples,) at the analysis rate, unlimited.
    """
    return METHODS[method](power, sound, matrices)


def measure(original: Array, result: Array, sound: SoundSpec, matrices: MelMatrices) -> Figures:
    """Compare a result, float32 (samples,), with its recording, float32 (samples,)."""
    length = min(original.size, result.size)
    original, result = original[:length], result[:length]
    fine_hop = sound.n_fft // OVERLAP
    wanted, found = (mel_of(each, sound, matrices, fine_hop) for each in (original, result))
    hop_hz = sound.analysis_rate_hz / sound.hop
    grain_hz = sound.analysis_rate_hz / _grain_samples()
    return Figures(
        seconds=length / sound.analysis_rate_hz,
        spectral_convergence=spectral_convergence(wanted, found),
        log_spectral_distance_db=log_spectral_distance_db(wanted, found),
        hop_rate_hz=hop_hz,
        hop_modulation_db=modulation_db(original, result, sound.analysis_rate_hz, hop_hz),
        grain_rate_hz=grain_hz,
        grain_modulation_db=modulation_db(original, result, sound.analysis_rate_hz, grain_hz),
    )


def spectral_convergence(wanted: Array, found: Array) -> float:
    """Distance of two mel powers as magnitudes, over the norm of the one that is wanted."""
    error = np.linalg.norm(np.sqrt(found) - np.sqrt(wanted))
    return float(error / np.linalg.norm(np.sqrt(wanted)))


def log_spectral_distance_db(wanted: Array, found: Array) -> float:
    """Root mean square difference in level; below `_RANGE_DB` under the loudest, all is equal."""
    floor = max(float(np.max(wanted)) * 10 ** (-_RANGE_DB / 10), _TINY)
    levels = [10 * np.log10(np.maximum(power, floor)) for power in (wanted, found)]
    return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))


def modulation_db(original: Array, result: Array, rate_hz: int, at_hz: float) -> float:
    """Energy of the result's envelope around a frequency, against that of the original."""
    energies = [_modulation(samples, rate_hz, at_hz) for samples in (original, result)]
    return float(10 * np.log10(max(energies[1], _TINY) / max(energies[0], _TINY)))


def _modulation(samples: Array, rate_hz: int, at_hz: float) -> float:
    """Energy around `at_hz` of the envelope, relative to the sound's mean level."""
    blocks = samples[: samples.size // _ENVELOPE_SAMPLES * _ENVELOPE_SAMPLES]
    envelope = np.sqrt(np.mean(blocks.reshape(-1, _ENVELOPE_SAMPLES).astype(float) ** 2, axis=1))
    envelope_hz = rate_hz / _ENVELOPE_SAMPLES
    frequency, energy = signal.welch(
        envelope / max(envelope.mean(), _TINY),
        envelope_hz,
        nperseg=min(envelope.size, round(envelope_hz)),
        window="hann",
    )
    near = np.abs(frequency - at_hz) <= max(_MODULATION_BAND_HZ, frequency[1])
    return float(energy[near].sum())


def _grain_samples() -> int:
    return (GRAINS.frames - 1) * PAPER.sound.hop


def _streaming(inversion: StreamInversion) -> Callable[[Array, SoundSpec, MelMatrices], Array]:
    return lambda power, sound, matrices: stream_whole(power, sound, inversion, matrices)


def _paper(power: Array, sound: SoundSpec, matrices: MelMatrices) -> Array:
    grains = Grains(sound, GRAINS, matrices)
    count = (power.shape[1] - 1) // (GRAINS.frames - 1)
    made = np.empty((count, grains.chunk), np.float32)
    for grain in made:
        grains.grain(power, grain)
    return made.ravel()


def _librosa(power: Array, sound: SoundSpec, matrices: MelMatrices) -> Array:
    linear = librosa.util.nnls(matrices.forward, power)
    return np.asarray(
        librosa.griffinlim(
            np.sqrt(linear),
            n_iter=LIBROSA_ITERATIONS,
            hop_length=sound.hop,
            n_fft=sound.n_fft,
            random_state=_SEED,
        ),
        np.float32,
    )


METHODS: dict[str, Callable[[Array, SoundSpec, MelMatrices], Array]] = {
    "stream": _streaming(STREAM),
    "quality": _streaming(QUALITY),
    "zero": _streaming(ZERO),
    "paper": _paper,
    "librosa": _librosa,
}
