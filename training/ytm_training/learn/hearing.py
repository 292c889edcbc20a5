"""From samples to the mel spectrogram that is learned: loudness, onset window, librosa's mel."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

import librosa
import numpy as np
import numpy.typing as npt
import pyloudnorm

from ytm_bundle.manifest import SoundSpec
from ytm_training.learn.config import MAX_S, MIN_S, SoundSettings

Samples = npt.NDArray[np.float32]

MAX_GAIN_DB = 40.0
_CEILING_PERCENTILE = 99.95


@functools.cache
def mel_matrix(rate_hz: int, n_fft: int, n_mels: int) -> npt.NDArray[np.float32]:
    """Slaney's mel filter bank, float32 (n_mels, bins), from power to mel power.

    At 48 kHz some of the lowest of 128 bands are narrower than a bin and stay empty: known, and
    harmless, since a neighbour covers the bin.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Empty filters detected")
        matrix = librosa.filters.mel(sr=rate_hz, n_fft=n_fft, n_mels=n_mels)
    return np.asarray(matrix, np.float32)


def source_gain_db(segments: Sequence[Samples], rate_hz: int, settings: SoundSettings) -> float:
    """Gain that brings all segments of one source, taken together, towards the target loudness.

    One gain a source keeps its loud and quiet moments apart. Loudness is that of ITU-R BS.1770,
    gated; what is all silence gets no gain, and no gain exceeds `MAX_GAIN_DB`.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Possible clipped samples")
        loudness = pyloudnorm.Meter(rate_hz).integrated_loudness(np.concatenate(segments))
    if not np.isfinite(loudness):
        return 0.0
    gain_db = settings.levelling * (settings.loudness_lufs - loudness)
    return float(np.clip(gain_db, -MAX_GAIN_DB, MAX_GAIN_DB))


def learned_window(samples: Samples, onset_s: float, settings: SoundSettings) -> Samples:
    """Cut what is learned out of one second of sound at the analysis rate, around the onset."""
    start = round(onset_s * settings.analysis_rate_hz) - settings.samples // 2
    start = int(np.clip(start, 0, max(0, len(samples) - settings.samples)))
    window = samples[start : start + settings.samples]
    return np.pad(window, (0, settings.samples - len(window)))


def mel_power(samples: Samples, rate_hz: int, onset_s: float, settings: SoundSettings) -> Samples:
    """Mel power, float32 (n_mels, frames), of one segment's sound."""
    if rate_hz != settings.analysis_rate_hz:
        samples = librosa.resample(samples, orig_sr=rate_hz, target_sr=settings.analysis_rate_hz)
    window = learned_window(samples, onset_s, settings)
    spectrum = librosa.stft(window, n_fft=settings.n_fft, hop_length=settings.hop)
    power = mel_matrix(settings.analysis_rate_hz, settings.n_fft, settings.n_mels) @ (
        np.abs(spectrum) ** 2
    )
    return np.asarray(power, np.float32)


def sound_spec(settings: SoundSettings, training_power: npt.NDArray[np.float32]) -> SoundSpec:
    """Fix the scale in dB by the loudest mels of the training set.

    Args:
        settings: what a training sound is.
        training_power: mel power of the training segments, any shape.
    """
    loudest = max(float(np.percentile(training_power, _CEILING_PERCENTILE)), 1e-10)
    ceiling_db = float(np.ceil(10 * np.log10(loudest)))
    return SoundSpec(
        analysis_rate_hz=settings.analysis_rate_hz,
        playback_rate_hz=settings.playback_rate_hz,
        n_fft=settings.n_fft,
        hop=settings.hop,
        n_mels=settings.n_mels,
        frames=settings.frames,
        floor_db=ceiling_db - settings.range_db,
        ceiling_db=ceiling_db,
        loudness_lufs=settings.loudness_lufs,
        levelling=settings.levelling,
        seconds=settings.seconds,
        inversion=settings.inversion,
    )


def sound_settings(spec: SoundSpec) -> SoundSettings:
    """The settings that `spec` was made with: the inverse of `sound_spec`."""
    longest_s = (spec.frames * spec.hop - 1) / spec.analysis_rate_hz
    return SoundSettings(
        analysis_rate_hz=spec.analysis_rate_hz,
        playback_rate_hz=spec.playback_rate_hz,
        n_fft=spec.n_fft,
        hop=spec.hop,
        n_mels=spec.n_mels,
        seconds=spec.seconds or float(np.clip(longest_s, MIN_S, MAX_S)),
        loudness_lufs=spec.loudness_lufs,
        levelling=spec.levelling,
        range_db=spec.ceiling_db - spec.floor_db,
        inversion=spec.inversion,
    )
