"""What a paced card heard, as a timeline that outlives the processes that played.

Where nobody wrote, nothing was heard: what lies between two starts of the card is silence too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from sound_latency import CHANNELS, underruns_ns

BLOCK_S = 0.01
"""Heard as a whole: silent if no sample in it is louder than `SILENCE_DBFS`."""
SILENCE_DBFS = -60.0
LONGEST_SILENCE_S = 0.1
FULL_SCALE = 32767
_NS_PER_S = 1_000_000_000
Span = tuple[int, int]
"""From, until: nanoseconds on CLOCK_MONOTONIC."""


@dataclass(frozen=True)
class Stretch:
    """What was heard without a break."""

    start_ns: int
    samples: np.ndarray
    """int16 (n,), of one channel."""

    def end_ns(self, rate_hz: int) -> int:
        return self.start_ns + len(self.samples) * _NS_PER_S // rate_hz

    def sounding(self, rate_hz: int) -> Iterator[Span]:
        """The blocks in which something can be heard."""
        block = round(BLOCK_S * rate_hz)
        peaks = _peaks(self.samples, block)
        for index in np.flatnonzero(peaks > FULL_SCALE * 10 ** (SILENCE_DBFS / 20)):
            first, last = int(index) * block, min((int(index) + 1) * block, len(self.samples))
            yield tuple(self.start_ns + at * _NS_PER_S // rate_hz for at in (first, last))  # type: ignore[misc]


def _peaks(samples: np.ndarray, block: int) -> np.ndarray:
    whole = -(-len(samples) // block) * block
    padded = np.zeros(whole, np.int32)
    padded[: len(samples)] = np.abs(samples.astype(np.int32))
    return padded.reshape(-1, block).max(axis=1)


class Ears:
    """Hears what the card `name` of `with_card` in `folder` plays."""

    def __init__(self, folder: Path, rate_hz: int, name: str = "card") -> None:
        self._folder, self._rate_hz, self._name = folder, rate_hz, name

    def stretches(self) -> list[Stretch]:
        """All that was heard so far."""
        log, raw = (self._folder / f"{self._name}.{kind}" for kind in ("log", "raw"))
        if not log.exists():
            return []
        lines = [line.split() for line in log.read_text().splitlines()]
        starts = [(int(line[1]), int(line[2])) for line in lines if line[0] == "START"]
        whole = raw.stat().st_size // (2 * CHANNELS)
        frames = np.memmap(raw, "<i2", "r", shape=(whole, CHANNELS)) if whole else np.empty((0, 2))
        ends = [*(first for _, first in starts[1:]), whole]
        return [
            Stretch(at, np.array(frames[first:end, 0]))
            for (at, first), end in zip(starts, ends, strict=True)
        ]

    def sounding(self) -> list[Span]:
        """When something could be heard: blocks, in order."""
        return [span for stretch in self.stretches() for span in stretch.sounding(self._rate_hz)]

    def silences(self, spans: Sequence[Span]) -> list[Span]:
        """Where within `spans` nothing was heard for longer than `LONGEST_SILENCE_S`.

        What each span begins with counts once something has been heard in it.
        """
        heard = self.sounding()
        found = []
        for start_ns, end_ns in spans:
            inside = [each for each in heard if each[1] > start_ns and each[0] < end_ns]
            if not inside:
                continue
            edges = [*inside, (end_ns, end_ns)]
            found += [(a[1], b[0]) for a, b in pairwise(edges)]
        return [each for each in found if each[1] - each[0] > LONGEST_SILENCE_S * _NS_PER_S]

    def first_after(self, time_ns: int) -> int | None:
        """When something was first heard after `time_ns`; None if nothing was yet."""
        return next((start for start, _ in self.sounding() if start >= time_ns), None)

    def loudest_dbfs(self) -> float:
        """The loudest sample, in dB below full scale; minus infinity in silence."""
        raw = self._folder / f"{self._name}.raw"
        is_there = raw.exists() and raw.stat().st_size >= 2
        samples = np.memmap(raw, "<i2", "r") if is_there else np.zeros(1, "<i2")
        peak = max(int(samples.max()), -int(samples.min()))
        return 20 * np.log10(peak / FULL_SCALE) if peak else -np.inf

    def dry_ns(self) -> list[int]:
        """When it was found to have run dry."""
        return underruns_ns(self._folder, self._name)
