from __future__ import annotations

from typing import Any

import librosa
import numpy as np
import pytest

from ytm_device.sound.griffin_lim import GriffinLim, linear_magnitude

N_FFT = 1024


def _magnitude(samples: np.ndarray, hop: int) -> np.ndarray:
    """float32 (frames, bins), by librosa."""
    return np.abs(librosa.stft(samples, n_fft=N_FFT, hop_length=hop)).T.astype(np.float32)


def _distance(samples: np.ndarray, magnitude: np.ndarray, hop: int) -> float:
    """Spectral convergence: distance of the spectrogram from `magnitude`, over its norm."""
    error = _magnitude(samples, hop) - magnitude
    return float(np.linalg.norm(error) / np.linalg.norm(magnitude))


class _TurnedGenerator(np.random.Generator):
    """Draws for librosa's (bins, frames) what `GriffinLim` draws for its (frames, bins)."""

    def random(self, size: tuple[int, ...]) -> np.ndarray:
        return super().random(size[::-1], np.float32).T


@pytest.mark.parametrize("iterations", [0, 1, 5, 30])
@pytest.mark.parametrize("frames", [5, 9, 60])
@pytest.mark.parametrize("hop", [256, 512])
def test_from_the_same_phase_comes_what_librosa_gives(
    hop: int, frames: int, iterations: int
) -> None:
    samples = librosa.chirp(fmin=150, fmax=3000, sr=48000, length=60 * hop)
    noise = np.random.default_rng(1).normal(0, 0.02, samples.size)
    magnitude = _magnitude(samples + noise, hop)[:frames]
    ours = GriffinLim(N_FFT, hop, frames, iterations, seed=5).invert(magnitude)
    librosas = librosa.griffinlim(
        magnitude.T,
        n_iter=iterations,
        hop_length=hop,
        n_fft=N_FFT,
        random_state=_TurnedGenerator(np.random.PCG64(5)),
    )
    assert ours.shape == librosas.shape == ((frames - 1) * hop,)
    assert np.linalg.norm(ours - librosas) <= 2e-3 * np.linalg.norm(librosas)


def test_a_mel_is_inverted_as_well_as_by_librosa(preset: Any) -> None:
    """From the mel on: our pseudo-inverse against librosa's NNLS, over the same phases."""
    sound, frames = preset.sound, min(preset.sound.frames, 60)
    power = sound.unscale(preset.mel)[:, :frames]
    original = _magnitude(preset.samples, sound.hop)[:frames]
    magnitudes = (
        linear_magnitude(power, preset.matrices.inverse),
        librosa.feature.inverse.mel_to_stft(
            power, sr=sound.analysis_rate_hz, n_fft=sound.n_fft
        ).T.astype(np.float32),
    )
    ours, librosas = (
        np.mean(
            [
                _distance(
                    GriffinLim(sound.n_fft, sound.hop, frames, 5, seed).invert(magnitude),
                    original,
                    sound.hop,
                )
                for seed in range(20)
            ]
        )
        for magnitude in magnitudes
    )
    assert ours <= 1.05 * librosas


def test_the_pseudo_inverse_undoes_the_filter_bank(preset: Any) -> None:
    power = preset.sound.unscale(preset.mel)
    magnitude = linear_magnitude(power, preset.matrices.inverse)
    assert magnitude.shape == (preset.sound.frames, preset.sound.bins)
    assert magnitude.min() >= 0
    again = preset.matrices.forward @ magnitude.T**2
    assert np.linalg.norm(again - power) <= 0.05 * np.linalg.norm(power)


def test_more_iterations_come_closer() -> None:
    magnitude = _magnitude(librosa.chirp(fmin=150, fmax=3000, sr=48000, length=59 * 256), 256)
    distances = [
        _distance(GriffinLim(N_FFT, 256, 60, count, seed=0).invert(magnitude), magnitude, 256)
        for count in (0, 2, 8, 32)
    ]
    assert distances == sorted(distances, reverse=True)
    assert distances[-1] < 0.25 * distances[0]


def test_a_seed_gives_one_sound_and_each_sound_another_phase() -> None:
    magnitude = np.ones((5, N_FFT // 2 + 1), np.float32)
    one, same, other = (GriffinLim(N_FFT, 256, 5, 3, seed) for seed in (1, 1, 2))
    first = one.invert(magnitude)
    assert first.shape == (1024,)
    assert first.dtype == np.float32
    assert np.array_equal(first, same.invert(magnitude))
    assert not np.array_equal(first, other.invert(magnitude))
    assert not np.array_equal(first, one.invert(magnitude))


def test_no_magnitude_is_silence() -> None:
    silence = GriffinLim(N_FFT, 256, 5, 3, seed=0).invert(np.zeros((5, 513), np.float32))
    assert np.array_equal(silence, np.zeros(1024, np.float32))


def test_a_result_is_not_overwritten_by_the_next() -> None:
    griffin_lim = GriffinLim(N_FFT, 256, 5, 1, seed=0)
    first = griffin_lim.invert(np.ones((5, 513), np.float32))
    kept = first.copy()
    griffin_lim.invert(np.full((5, 513), 2, np.float32))
    assert np.array_equal(first, kept)
