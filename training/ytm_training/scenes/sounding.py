"""What a scene sounds like."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from ytm_training.scenes import voices
from ytm_training.scenes.scene import Scene, Thing
from ytm_training.scenes.voices import Track

Sound = npt.NDArray[np.float32]

_PEAK = 0.95
_CONTROL_HZ = 200
_STRUCK = {
    "ball": voices.flute,
    "box": voices.organ,
    "star": voices.bell,
    "drum": voices.drum,
    "guitar": voices.guitar,
}


def sound(scene: Scene, seconds: float, rate_hz: int) -> Sound:
    """The sound of a scene from its beginning.

    Returns:
        float32 (round(seconds * rate_hz),), mono, within [-1, 1]; everything in it follows from the
        scene, noise included.
    """
    mixed = np.zeros(round(seconds * rate_hz))
    for number, thing in enumerate(scene.things):
        seed = zlib.crc32(f"{scene.seed} {scene.number} {number}".encode())
        mixed += _alone(thing, len(mixed), rate_hz, np.random.default_rng(seed))
    # Only what would clip is turned down, so that levels stay what the scene says.
    mixed *= min(1.0, _PEAK / max(np.abs(mixed).max(), 1e-9))
    return mixed.astype(np.float32)


def _alone(thing: Thing, samples: int, rate_hz: int, rng: np.random.Generator) -> Track:
    pitch_hz = _track(thing.pitch_hz, samples, rate_hz)
    beats = [round(beat_s * rate_hz) for beat_s in thing.beats_s(samples / rate_hz)]
    if thing.kind == "person":
        vowel = _track(thing.across.at, samples, rate_hz)
        tone = voices.voice(pitch_hz, vowel, beats, rate_hz, rng)
    else:
        tone = _STRUCK[thing.kind](pitch_hz, beats, rate_hz, rng)
    return np.asarray(tone * 10 ** (_track(thing.level_db, samples, rate_hz) / 20))


def _track(value_at: Callable[[float], float], samples: int, rate_hz: int) -> Track:
    """A quantity of the scene at every sample; it moves slowly, so it is interpolated."""
    seconds = samples / rate_hz
    times_s = np.linspace(0, seconds, max(2, round(seconds * _CONTROL_HZ)))
    values = [value_at(float(time_s)) for time_s in times_s]
    return np.interp(np.arange(samples) / rate_hz, times_s, values)
