"""The timbres of the scenes: each from a track of pitch, float arrays of samples.

Every function takes `pitch_hz`, float (n,), and gives float (n,) with a root mean square of about 1
while it sounds; `beats` are the samples at which it is struck, blown or sung anew.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from scipy.signal import lfilter

Track = npt.NDArray[np.float64]

# Modes of an ideal circular membrane over its lowest (Rossing, The Physics of Musical Instruments).
_MEMBRANE = (1.0, 1.594, 2.136, 2.296, 2.653, 2.918)
_DRAWBARS = {1: 1.0, 2: 0.8, 3: 0.5, 4: 0.4, 6: 0.25, 8: 0.2}
# Formants of u, a and i in Hz (Peterson & Barney 1952, men), and their bandwidths.
_FORMANTS = np.array([[300, 870, 2240], [730, 1090, 2440], [270, 2290, 3010]], float)
_BANDWIDTHS = np.array([70, 100, 140], float)
_HIGHEST_HARMONIC_HZ = 4500


def _phase(pitch_hz: Track, rate_hz: int) -> Track:
    return np.asarray(2 * np.pi * np.cumsum(pitch_hz) / rate_hz)


def _since(beats: Sequence[int], length: int, rate_hz: int) -> Track:
    """Seconds since the last beat, for every sample; large before the first."""
    samples = np.arange(length)
    last = np.searchsorted(np.asarray(beats), samples, side="right") - 1
    starts = np.concatenate([beats, [-100 * rate_hz]])[last]
    return np.asarray((samples - starts) / rate_hz)


def flute(pitch_hz: Track, beats: Sequence[int], rate_hz: int, rng: np.random.Generator) -> Track:
    """A sine with a few overtones and breath, tongued at every beat."""
    time_s = np.arange(len(pitch_hz)) / rate_hz
    phase = _phase(pitch_hz * (1 + 0.004 * np.sin(2 * np.pi * 5 * time_s)), rate_hz)
    tone = np.sin(phase) + 0.22 * np.sin(2 * phase) + 0.07 * np.sin(3 * phase)
    breath = lfilter([0.25], [1, -0.75], rng.standard_normal(len(phase)))
    since_s = _since(beats, len(phase), rate_hz)
    tongue = np.exp(-since_s / 0.03)
    return np.asarray(1.3 * tone * (1 - tongue) + breath * (0.12 + 0.5 * tongue))


def organ(pitch_hz: Track, beats: Sequence[int], rate_hz: int, rng: np.random.Generator) -> Track:
    """Harmonics at the drawbars of an organ, keyed anew at every beat."""
    phase = _phase(pitch_hz, rate_hz)
    tone = sum(weight * np.sin(multiple * phase) for multiple, weight in _DRAWBARS.items())
    since_s = _since(beats, len(phase), rate_hz)
    click = 0.3 * rng.standard_normal(len(phase)) * np.exp(-since_s / 0.004)
    return np.asarray((1 - np.exp(-since_s / 0.008)) * tone + click)


def bell(pitch_hz: Track, beats: Sequence[int], rate_hz: int, rng: np.random.Generator) -> Track:
    """Frequency modulation at an inharmonic ratio with a falling index (Chowning 1973)."""
    phase = _phase(pitch_hz, rate_hz) + rng.uniform(0, 2 * np.pi)
    since_s = _since(beats, len(phase), rate_hz)
    index = 3.5 * np.exp(-since_s / 0.25)
    attack = 1 - np.exp(-since_s / 0.001)
    return np.asarray(
        2.4 * attack * np.exp(-since_s / 0.45) * np.sin(phase + index * np.sin(1.4 * phase))
    )


def drum(pitch_hz: Track, beats: Sequence[int], rate_hz: int, rng: np.random.Generator) -> Track:
    """A struck membrane, whose tension falls after the blow, with the noise of the stick."""
    since_s = _since(beats, len(pitch_hz), rate_hz)
    phase = _phase(pitch_hz * (1 + 0.35 * np.exp(-since_s / 0.04)), rate_hz)
    modes = sum(
        np.sin(ratio * phase) * np.exp(-since_s * (5 + 6 * number)) / (1 + 0.7 * number)
        for number, ratio in enumerate(_MEMBRANE)
    )
    stick = lfilter([1, -0.6], [1], rng.standard_normal(len(phase))) * np.exp(-since_s / 0.012)
    attack = 1 - np.exp(-since_s / 0.0008)
    return np.asarray(attack * (2.6 * modes + 1.5 * stick))


def guitar(pitch_hz: Track, beats: Sequence[int], rate_hz: int, rng: np.random.Generator) -> Track:
    """A plucked string (Karplus & Strong 1983), its pitch held from pluck to pluck."""
    out = np.zeros(len(pitch_hz))
    for begin, end in zip(beats, [*beats[1:], len(out)], strict=True):
        pluck = _plucked(float(pitch_hz[max(0, begin)]), end - begin, rate_hz, rng)
        fade = np.minimum(1, np.arange(len(pluck), 0, -1) / (0.003 * rate_hz))
        out[max(0, begin) : end] = (pluck * fade)[max(0, -begin) :]
    return 4.0 * out


_KEPT = 0.997
"""Of a string's swing, from one period to the next."""


def _plucked(pitch_hz: float, samples: int, rate_hz: int, rng: np.random.Generator) -> Track:
    period = rate_hz / pitch_hz
    # Three taps, all of one sign and less than 1 together, so that no pitch makes the loop grow;
    # their mean delay is the period.
    whole = int(period - 0.5)
    share = period - 0.5 - whole
    loop = np.zeros(whole + 3)
    loop[0] = 1
    loop[whole:] = -_KEPT * np.array([(1 - share) / 2, 0.5, share / 2])
    burst = np.zeros(samples)
    length = min(samples, round(period))
    burst[:length] = lfilter([0.5, 0.5], [1], rng.uniform(-1, 1, length))
    burst[:length] -= burst[:length].mean()
    return np.asarray(lfilter([1.0], loop, burst))


def voice(
    pitch_hz: Track,
    vowel: Track,
    beats: Sequence[int],
    rate_hz: int,
    rng: np.random.Generator,
) -> Track:
    """A sung vowel: harmonics of a glottal source, weighted by three formants.

    Args:
        pitch_hz: float (n,).
        vowel: float (n,) from 0 (u) over 0.5 (a) to 1 (i).
        beats: samples at which it is articulated anew.
        rate_hz: samples a second.
        rng: for breath and jitter.
    """
    time_s = np.arange(len(pitch_hz)) / rate_hz
    jitter = lfilter([0.0006], [1, -0.9994], rng.standard_normal(len(pitch_hz)))
    sung_hz = pitch_hz * (1 + 0.012 * np.sin(2 * np.pi * 5.5 * time_s) + 0.05 * jitter)
    phase = _phase(sung_hz, rate_hz)
    tone = np.zeros(len(phase))
    for harmonic in range(1, int(_HIGHEST_HARMONIC_HZ / sung_hz.min()) + 1):
        weight = _resonance(harmonic * sung_hz, vowel) / harmonic**0.9
        weight[harmonic * sung_hz > _HIGHEST_HARMONIC_HZ] = 0
        tone += weight * np.sin(harmonic * phase)
    since_s = _since(beats, len(phase), rate_hz)
    breath = lfilter([0.3], [1, -0.7], rng.standard_normal(len(phase)))
    envelope = 1 - 0.85 * np.exp(-since_s / 0.05)
    return np.asarray(envelope * (2.2 * tone + 0.05 * breath))


def _resonance(frequency_hz: Track, vowel: Track) -> Track:
    """Gain of the vocal tract at a frequency, for a vowel, both float (n,).

    Evaluated at every 64th sample and interpolated: a mouth moves slowly.
    """
    coarse = np.append(np.arange(0, len(vowel), 64), len(vowel) - 1)
    heard_hz = frequency_hz[coarse]
    gain = np.full(len(coarse), 0.03)
    places = np.linspace(0, 1, len(_FORMANTS))
    for number, bandwidth_hz in enumerate(_BANDWIDTHS):
        formant_hz = np.exp(np.interp(vowel[coarse], places, np.log(_FORMANTS[:, number])))
        distance = (heard_hz - formant_hz) / bandwidth_hz
        gain += 0.75**number / np.sqrt(1 + distance**2)
    return np.asarray(np.interp(np.arange(len(vowel)), coarse, gain))
