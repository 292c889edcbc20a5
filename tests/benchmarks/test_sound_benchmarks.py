"""Mel to sound at the paper's settings, beside librosa. The table's brackets are the ratios."""

from __future__ import annotations

from collections.abc import Callable

import librosa
import numpy as np
import pytest

from ytm_bundle.bundle import MelMatrices
from ytm_device.sound.griffin_lim import GriffinLim, linear_magnitude
from ytm_device.sound.linear import LinearSpectrum
from ytm_device.sound.phase_stream import PhaseStream

RATE_HZ, N_FFT, HOP, N_MELS, FRAMES, ITERATIONS = 48000, 1024, 512, 128, 5, 5


@pytest.fixture(scope="module")
def power() -> np.ndarray:
    """float32 (n_mels, frames), mel power of a glide with some noise."""
    samples = librosa.chirp(fmin=150, fmax=3000, sr=RATE_HZ, length=(FRAMES - 1) * HOP)
    samples += np.random.default_rng(1).normal(0, 0.02, samples.size)
    mel = librosa.feature.melspectrogram(
        y=samples, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP, n_mels=N_MELS
    )
    return mel.astype(np.float32)


def _ours() -> Callable[[np.ndarray], np.ndarray]:
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)
    inverse = np.linalg.pinv(bank, rcond=1e-6).astype(np.float32)
    griffin_lim = GriffinLim(N_FFT, HOP, FRAMES, ITERATIONS, seed=0)
    return lambda power: griffin_lim.invert(linear_magnitude(power, inverse))


def _librosas() -> Callable[[np.ndarray], np.ndarray]:
    return lambda power: librosa.feature.inverse.mel_to_audio(
        power, sr=RATE_HZ, n_fft=N_FFT, hop_length=HOP, n_iter=ITERATIONS
    )


@pytest.mark.benchmark(group="mel to one grain of sound")
@pytest.mark.parametrize("make", [_ours, _librosas], ids=["ours", "librosa"])
def test_mel_to_sound(
    benchmark: Callable[..., np.ndarray], make: Callable[..., Callable], power: np.ndarray
) -> None:
    samples = benchmark(make(), power)
    assert samples.shape == ((FRAMES - 1) * HOP,)


def _stream_a_second() -> Callable[[np.ndarray], np.ndarray]:
    bank = librosa.filters.mel(sr=RATE_HZ, n_fft=N_FFT, n_mels=N_MELS)
    matrices = MelMatrices(bank, np.linalg.pinv(bank, rcond=1e-6).astype(np.float32))
    linear = LinearSpectrum(matrices, updates=2)
    phase = PhaseStream(N_FFT, look_ahead=1, iterations=8)
    hops = RATE_HZ // phase.hop
    return lambda power: np.concatenate(
        [phase.push(linear.magnitude(power[:, hop % FRAMES])) for hop in range(hops)]
    )


def _librosa_a_second() -> Callable[[np.ndarray], np.ndarray]:
    """As the artwork: one call for each grain of 4 hops."""
    invert = _librosas()
    grains = RATE_HZ // ((FRAMES - 1) * HOP)
    return lambda power: np.concatenate([invert(power) for _ in range(grains)])


@pytest.mark.benchmark(group="a second of sound", min_rounds=3)
@pytest.mark.parametrize(
    "make", [_stream_a_second, _librosa_a_second], ids=["our stream", "librosa's grains"]
)
def test_a_second_of_sound(
    benchmark: Callable[..., np.ndarray], make: Callable[..., Callable], power: np.ndarray
) -> None:
    samples = benchmark(make(), power)
    assert samples.size == pytest.approx(RATE_HZ, rel=0.03)
