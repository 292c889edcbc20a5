"""How loud mel spectrograms will sound, computed from themselves alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle, MelMatrices
from ytm_bundle.manifest import GrainInversion, SoundSpec

Array = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]

BLOCK_S = 0.4
"""Seconds in a gating block; each begins a quarter of that after the one before."""
ABSOLUTE_GATE_LUFS = -70.0
RELATIVE_GATE_LU = -10.0
MAX_GAIN_DB = 24.0
"""Further than this from its target a sound is nearly silence, or not meant to be heard so."""
_OFFSET_LUFS = -0.691
_HANN_POWER = 3 / 8
"""Mean square of a Hann window."""
_TINY = np.finfo(np.float64).tiny


def integrated_lufs(powers: Array, sound: SoundSpec, matrices: MelMatrices) -> float | None:
    """Loudness of the sounds that mels stand for, as they are played: mono, each in a loop.

    ITU-R BS.1770-4, with the mean square of each mel frame in place of samples. Since it knows
    nothing of phases it is up to 0.8 LU away from what a meter shows.

    Args:
        powers: float32 (k, n_mels, frames), mel power, >= 0, finite.
        sound: how they were analysed and are played.
        matrices: of the filter bank.

    Returns:
        LUFS, or None if no block is louder than `ABSOLUTE_GATE_LUFS`.
    """
    weights = _bin_weights(sound)
    frame_s = sound.hop / sound.playback_rate_hz
    blocks = [
        _blocks(weights @ np.maximum(matrices.inverse @ power, 0), frame_s) for power in powers
    ]
    return _gated_lufs(np.concatenate([*blocks, np.zeros(0)]))


def gain_db(measured_lufs: float | None, target_lufs: float) -> float:
    """Gain, from -`MAX_GAIN_DB` to `MAX_GAIN_DB`, that brings a sound to the target; 0 for None."""
    if measured_lufs is None:
        return 0.0
    return max(-MAX_GAIN_DB, min(MAX_GAIN_DB, target_lufs - measured_lufs))


def k_weighting(frequencies_hz: Doubles, rate_hz: int) -> Doubles:
    """Power response of the K weighting's two filters: float64, as `frequencies_hz`, >= 0.

    The standard gives their coefficients for 48 kHz. These are the analogue filters, warped by the
    bilinear transform, that have the same coefficients there: see `filter.c` of libebur128.
    """
    # A shelf for the head, (high s^2 + middle s / q + 1) / (s^2 + s / q + 1).
    q, high = 0.7071752369554196, 10 ** (3.999843853973347 / 20)
    middle = high**0.4996667741545416
    x = _warped(frequencies_hz, rate_hz) / _warped(1681.974450955533, rate_hz)
    shelf = ((1 - high * x**2) ** 2 + (middle * x / q) ** 2) / ((1 - x**2) ** 2 + (x / q) ** 2)
    # A high pass, s^2 / (s^2 + s / q + 1). Its numerator is 1, -2, 1 in the standard, which makes
    # it louder by `excess`.
    q, cutoff = 0.5003270373238773, _warped(38.13547087602444, rate_hz)
    x = _warped(frequencies_hz, rate_hz) / cutoff
    excess = 1 + cutoff / q + cutoff**2
    high_pass = excess**2 * x**4 / ((1 - x**2) ** 2 + (x / q) ** 2)
    weighting: Doubles = shelf * high_pass
    return weighting


def _warped(frequency_hz: float | Doubles, rate_hz: int) -> Doubles:
    return np.tan(np.pi * np.asarray(frequency_hz, np.float64) / rate_hz)


def _bin_weights(sound: SoundSpec) -> Doubles:
    """What each bin of a power spectrum adds to the weighted mean square: float64 (bins,)."""
    heard_hz = np.arange(sound.bins) * sound.playback_rate_hz / sound.n_fft
    # Parseval: all bins but the first and the last stand for two; the analysis was windowed.
    weights: Doubles = np.full(sound.bins, 2 / (_HANN_POWER * sound.n_fft**2))
    weights[[0, -1]] /= 2
    if isinstance(sound.inversion, GrainInversion):
        weights *= _HANN_POWER
    return weights * k_weighting(heard_hz, sound.playback_rate_hz)


def _blocks(mean_squares: Doubles, frame_s: float) -> Doubles:
    """Mean square of the gating blocks of one mel, float64 (frames,), that is played in a loop."""
    frames = mean_squares.size
    length = min(round(BLOCK_S / frame_s), frames)
    step = max(1, round(BLOCK_S / 4 / frame_s))
    looped = np.concatenate([mean_squares, mean_squares[: length - 1]])
    means: Doubles = np.lib.stride_tricks.sliding_window_view(looped, length)[::step].mean(axis=-1)
    return means


def _gated_lufs(blocks: Doubles) -> float | None:
    loud = blocks[_lufs(blocks) > ABSOLUTE_GATE_LUFS]
    if loud.size == 0:
        return None
    gate_lufs = _lufs(loud.mean()) + RELATIVE_GATE_LU
    return float(_lufs(loud[_lufs(loud) > gate_lufs].mean()))


def _lufs(mean_square: Doubles) -> Doubles:
    lufs: Doubles = _OFFSET_LUFS + 10 * np.log10(np.maximum(mean_square, _TINY))
    return lufs


@dataclass(frozen=True)
class Levels:
    """Gains that make every bundle equally loud, mirroring or not."""

    mirror_db: float
    replay_db: float


def levels(bundle: Bundle, target_lufs: float) -> Levels:
    """The gains with which the answers and the stills of a bundle have the loudness wanted.

    Answers are softer than stills, the more so the less they differ from each other. Where a
    bundle does not say how loud they are, they are taken to be like its stills.
    """
    sound = bundle.manifest.sound
    powers = sound.unscale(bundle.replay().mels)
    stills_lufs = integrated_lufs(powers, sound, bundle.mel_matrices())
    answers_lufs = bundle.manifest.answer_loudness_lufs
    replay_db = gain_db(stills_lufs, target_lufs)
    mirror_db = replay_db if answers_lufs is None else gain_db(answers_lufs, target_lufs)
    return Levels(mirror_db, replay_db)
