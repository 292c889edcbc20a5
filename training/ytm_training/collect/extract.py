"""The stages cut and onset: random seconds of one video, each with the picture at its onset."""

from __future__ import annotations

import hashlib
import math
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import librosa
import numpy as np
import numpy.typing as npt

from ytm_training.collect.events import Stage
from ytm_training.collect.sidecar import Facts
from ytm_training.dataset import Settings
from ytm_training.fetch.section import REACH_S, Section
from ytm_training.media import Extent, Reason, UnusableVideoError, Video, open_video
from ytm_training.picture import shrink
from ytm_training.segment import Segment

LONGEST_SIDE_PX = 512
"""Pictures are kept up to this size, so that models of every size can learn from them."""
SILENCE_DBFS = -70.0
"""A second whose root mean square lies below is silent."""

_SECOND_MS = 1000
_REDRAWS = 3
# A window of 21 ms: with librosa's default of 43 ms the onset found lies 12 ms late.
_ONSET_WINDOW, _ONSET_HOP = 1024, 256

Sound = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Extracted:
    """The segments of one video, and why there are not more."""

    segments: list[Segment]
    reason: Reason | None
    """Why there are none at all."""
    note: str
    spent_s: dict[Stage, float]
    """Seconds that each stage took."""


def extract(path: Path, source: str, facts: Facts, settings: Settings) -> Extracted:
    """Take up to `settings.per_video` random seconds of the video at `path`.

    The choice depends on the seed and on `source` alone, so that neither the order of the files nor
    an interruption changes it.
    """
    return extract_section(Section.of_whole(path), source, facts, settings)


def extract_section(section: Section, source: str, facts: Facts, settings: Settings) -> Extracted:
    """Take the seconds for which a section was fetched: those that `extract` would take of it all.

    Where one of them is no good, another is taken that was fetched with it.
    """
    try:
        with open_video(section.path, section.origin_s) as video:
            reach_ms = None if section.extent is None else round(REACH_S * _SECOND_MS)
            extent = video.extent() if section.extent is None else section.extent
            return _Extraction(video, extent, reach_ms, source, facts, settings).run()
    except UnusableVideoError as error:
        return Extracted([], error.reason, str(error), {})


def first_starts_s(extent: Extent, source: str, settings: Settings) -> list[float]:
    """Where in a video the seconds begin that `extract` takes first, in seconds, ascending."""
    rng = _rng(source, settings)
    return [ms / _SECOND_MS for ms in first_starts_ms(extent, settings.per_video, rng)]


def _rng(source: str, settings: Settings) -> np.random.Generator:
    key = f"{settings.seed}\0{source}".encode("utf-8", "surrogateescape")
    return np.random.default_rng(list(hashlib.sha256(key).digest()))


def bounds_ms(extent: Extent) -> tuple[int, int]:
    """The whole milliseconds inside an extent: first and last."""
    return math.ceil(extent.start_s * _SECOND_MS), math.floor(extent.end_s * _SECOND_MS)


def first_starts_ms(extent: Extent, count: int, rng: np.random.Generator) -> list[int]:
    """Starts of up to `count` whole seconds that do not overlap, each placing equally likely.

    Returns:
        Ascending, in milliseconds; fewer than `count` if the extent is too short.
    """
    begin, end = bounds_ms(extent)
    length = max(0, end - begin)
    count = min(count, length // _SECOND_MS)
    slack = length - count * _SECOND_MS
    gaps = np.sort(rng.integers(0, slack + 1, count))
    return [begin + int(gap) + number * _SECOND_MS for number, gap in enumerate(gaps)]


def strongest_onset_s(sound: Sound, rate_hz: int) -> float:
    """When the strongest onset is, in seconds; the middle if nothing ever starts.

    Onset strength is librosa's spectral flux (Böck & Widmer 2013).
    """
    strength = librosa.onset.onset_strength(
        y=sound, sr=rate_hz, n_fft=_ONSET_WINDOW, hop_length=_ONSET_HOP
    )
    strongest = int(np.argmax(strength))
    length_s = len(sound) / rate_hz
    if not strength[strongest] > 0:
        return length_s / 2
    return min(strongest * _ONSET_HOP / rate_hz, length_s)


def level_dbfs(sound: Sound) -> float:
    """Root mean square in dB, where a constant 1.0 has 0."""
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


class _Extraction:
    """The choice of seconds for one open video."""

    def __init__(
        self,
        video: Video,
        extent: Extent,
        reach_ms: int | None,
        source: str,
        facts: Facts,
        settings: Settings,
    ) -> None:
        """`reach_ms`: how far from the seconds drawn first there is anything; None if anywhere."""
        self._video, self._extent, self._reach_ms = video, extent, reach_ms
        self._source, self._facts, self._settings = source, facts, settings
        self._rng = _rng(source, settings)
        self._bounds_ms = bounds_ms(extent)
        self._refused: Counter[Reason] = Counter()
        self._spent_s: dict[Stage, float] = {"cut": 0.0, "onset": 0.0}

    def run(self) -> Extracted:
        wanted = self._settings.per_video
        starts = first_starts_ms(self._extent, wanted, self._rng)
        if not starts:
            note = f"{self._extent.length_s:.2f} s of picture and sound together"
            return Extracted([], "too short", note, self._spent_s)
        found = [self._near(starts, number) for number in range(len(starts))]
        segments = [segment for segment in found if segment is not None]
        if not segments:
            reason = self._refused.most_common(1)[0][0]
            return Extracted([], reason, self._note(starts, 0), self._spent_s)
        return Extracted(segments, None, self._note(starts, len(segments)), self._spent_s)

    def _note(self, starts: list[int], kept: int) -> str:
        parts = []
        if len(starts) < self._settings.per_video:
            parts.append(f"room for {len(starts)} in {self._extent.length_s:.2f} s")
        if kept < len(starts):
            parts.extend(f"{count} tried and {why}" for why, count in self._refused.items())
        return "; ".join(parts)

    def _near(self, starts: list[int], number: int) -> Segment | None:
        """The segment at `starts[number]`; if it is no good, one nearby that overlaps no other."""
        begin, end = self._bounds_ms
        low = starts[number - 1] + _SECOND_MS if number else begin
        high = starts[number + 1] if number + 1 < len(starts) else end
        if self._reach_ms is not None:
            low = max(low, starts[number] - self._reach_ms)
            high = min(high, starts[number] + _SECOND_MS + self._reach_ms)
        for _ in range(1 + _REDRAWS):
            try:
                return self._segment(starts[number] / _SECOND_MS)
            except UnusableVideoError as error:
                self._refused[error.reason] += 1
            starts[number] = int(self._rng.integers(low, high - _SECOND_MS + 1))
        return None

    def _segment(self, start_s: float) -> Segment:
        rate_hz = self._settings.rate_hz
        with self._timed("cut"):
            sound = self._video.sound(start_s, 1.0, rate_hz)
        if level_dbfs(sound) < SILENCE_DBFS:
            raise UnusableVideoError(f"{self._source}: silent at {start_s:.3f} s", "silent")
        with self._timed("onset"):
            onset_s = strongest_onset_s(sound, rate_hz)
        with self._timed("cut"):
            image = shrink(self._video.picture_at(start_s + onset_s), LONGEST_SIDE_PX)
        facts = self._facts
        return Segment(
            segment_id=f"{self._source}@{start_s:.3f}",
            source=self._source,
            start_s=start_s,
            onset_s=onset_s,
            image=image,
            sound=sound,
            rate_hz=rate_hz,
            category=facts.category,
            title=facts.title,
            licence=facts.licence,
            origin=facts.origin,
            rights=facts.rights,
        )

    @contextmanager
    def _timed(self, stage: Stage) -> Iterator[None]:
        began_s = time.monotonic()
        yield
        self._spent_s[stage] += time.monotonic() - began_s
