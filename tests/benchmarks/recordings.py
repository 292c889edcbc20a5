"""Real recordings to measure sound with: stretches of clips, and spoken digits."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import soundfile

from ytm_training.media import open_video

RATE_HZ = 48000
CLIPS_OF_A_CATEGORY = 2
CLIP_S, CLIP_START_S = 2.0, 1.0
SPEECH_S = 3.0
MAX_FILE_S = 300
SILENT_RMS = 1e-3
"""Of full scale: below it a stretch is passed over."""
PEAK = 0.5
SPEAKERS = 6
TAKE = 23
"""Which of the fifty recordings of each digit by each speaker."""
GAP_S = 0.05
DIGITS = "digits/fsdd_recordings.zip"


def recordings(data: Path) -> dict[str, list[np.ndarray]]:
    """What there is to hear, by kind; each float32 (samples,) at `RATE_HZ`, peak at `PEAK`.

    Returns:
        `clips`: of each category of videos, `speech`: all clips of people who speak, `digits`: ten
        digits in a row by each speaker.
    """
    categories = _categories(data)
    clips = [clip for files in categories.values() for clip in _clips(files)]
    speech = [_levelled(_stretch(file, 0.0, SPEECH_S)) for file in categories["speech"]]
    return {"clips": clips, "speech": speech, "digits": _digits(data / DIGITS)}


def _categories(data: Path) -> dict[str, list[Path]]:
    """Video files by what they show, in the manifest's order."""
    found: dict[str, list[Path]] = defaultdict(list)
    with (data / "manifest.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["file"].startswith("videos/"):
                found[row["category"]].append(data / row["file"])
    return found


def _clips(files: list[Path]) -> Iterator[np.ndarray]:
    """Stretches of the first of these files that are not nearly silent."""
    taken = 0
    for file in files:
        samples = _stretch(file, CLIP_START_S, CLIP_S)
        if np.sqrt(np.mean(samples**2)) < SILENT_RMS:
            continue
        yield _levelled(samples)
        taken += 1
        if taken == CLIPS_OF_A_CATEGORY:
            return


def _stretch(file: Path, start_s: float, seconds: float) -> np.ndarray:
    """Earlier than asked for where the sound ends too soon, and with silence after it."""
    with open_video(file) as video:
        samples = video.whole_sound(RATE_HZ, MAX_FILE_S)
    length = round(seconds * RATE_HZ)
    start = max(0, min(round(start_s * RATE_HZ), samples.size - length))
    return _lasting(samples[start:], length)


def _digits(archive: Path) -> list[np.ndarray]:
    with zipfile.ZipFile(archive) as files:
        names = {Path(name).stem: name for name in files.namelist() if name.endswith(".wav")}
        speakers = sorted({stem.split("_")[1] for stem in names})[:SPEAKERS]
        return [_counting(files, names, speaker) for speaker in speakers]


def _counting(files: zipfile.ZipFile, names: dict[str, str], speaker: str) -> np.ndarray:
    """Zero to nine in one voice, with short gaps."""
    parts = []
    for digit in range(10):
        data = io.BytesIO(files.read(names[f"{digit}_{speaker}_{TAKE}"]))
        samples, rate_hz = soundfile.read(data, dtype="float32")
        parts += [samples, np.zeros(round(GAP_S * rate_hz), np.float32)]
    spoken = _lasting(np.concatenate(parts), round(SPEECH_S * rate_hz))
    return _levelled(librosa.resample(spoken, orig_sr=rate_hz, target_sr=RATE_HZ))


def _lasting(samples: np.ndarray, length: int) -> np.ndarray:
    return np.pad(samples[:length], (0, max(0, length - samples.size)))


def _levelled(samples: np.ndarray) -> np.ndarray:
    return (samples * (PEAK / np.abs(samples).max())).astype(np.float32)
