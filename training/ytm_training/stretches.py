"""Decoded pieces of sound, joined into unbroken stretches of mono samples at one rate."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler

Sound = npt.NDArray[np.float32]

_GAP_S = 0.1
"""Seconds. Stamps that stray by less are rounding (1 ms in Matroska) or a careless remux's jitter
(20 ms in web videos); FFmpeg's own resynchronisation draws the line at the same value."""


def stretches(
    frames: Iterator[tuple[float, AudioFrame | None]], rate_hz: int
) -> Iterator[tuple[float, Sound]]:
    """Join frames that follow one another without a gap, and resample each such stretch to mono.

    Args:
        frames: stamp in seconds and frame, in order; None breaks a stretch.
        rate_hz: samples a second wanted.

    Yields:
        When the stretch begins, in seconds, by all its stamps together, since each alone is
        rounded; and its samples, float32 (n,), 1.0 is full scale.
    """
    run: list[AudioFrame] = []
    begins_s: list[float] = []
    length_s = 0.0
    for frame_s, frame in frames:
        fits = run and frame is not None and not _differs(run[0], frame)
        if run and not (fits and abs(frame_s - length_s - begins_s[0]) < _GAP_S):
            yield float(np.mean(begins_s)), _resampled(run, rate_hz)
            run, begins_s, length_s = [], [], 0.0
        if frame is not None:
            run.append(frame)
            begins_s.append(frame_s - length_s)
            length_s += frame.samples / frame.sample_rate
    if run:
        yield float(np.mean(begins_s)), _resampled(run, rate_hz)


def _differs(one: AudioFrame, other: AudioFrame) -> bool:
    return (one.sample_rate, one.layout.name, one.format.name) != (
        other.sample_rate,
        other.layout.name,
        other.format.name,
    )


def _resampled(run: list[AudioFrame], rate_hz: int) -> Sound:
    resampler = AudioResampler(format="flt", layout="mono", rate=rate_hz)
    pieces = [piece for frame in (*run, None) for piece in resampler.resample(frame)]
    return np.concatenate([np.asarray(piece.to_ndarray(), np.float32)[0] for piece in pieces])
