"""Which rows of a dataset are measured, which are only known material, and their analysis.

A source of which any segment bears a mark of what the mind learned from is refused as a whole, so
that a renamed video, or another second of a known one, flatters nobody.
"""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from ytm_bundle.errors import EvaluationError
from ytm_device.console import messages
from ytm_training.dataset import read_dataset
from ytm_training.evaluation.mind import Mind
from ytm_training.learn.hearing import mel_power
from ytm_training.learn.material import by_source, power_factor
from ytm_training.marks import segment_marks
from ytm_training.media import fit_image
from ytm_training.segment import Segment

Indices = npt.NDArray[np.int64]
Names = npt.NDArray[np.object_]

KNOWN_SHARE = 4
"""Known rows that judges and simple means are fitted on, for each that is measured."""


@dataclass(frozen=True)
class Rows:
    """m segments as the mind takes them."""

    images: npt.NDArray[np.uint8]
    """(m, h, w, 3), RGB."""
    mels: npt.NDArray[np.float32]
    """(m, n_mels, frames), scaled to [0, 1]."""
    sources: Names
    """(m,) str."""
    categories: Names
    """(m,) str or None."""
    segment_ids: Names
    """(m,) str."""

    def __len__(self) -> int:
        return len(self.images)

    def take(self, indices: Indices) -> Rows:
        """Some of them."""
        return Rows(**{name: values[indices] for name, values in vars(self).items()})


@dataclass(frozen=True)
class Pool:
    """What is measured, and what else may be used to fit what it is compared with."""

    rows: Rows
    """Known ones first, then those that are measured."""
    known: Indices
    unseen: Indices
    refused: int
    """Rows of the dataset that the mind learned from, or of such a source."""
    found: int
    """Rows of the dataset that could be measured, of which `unseen` are a sample."""


@dataclass(frozen=True)
class _Analysed:
    """One row, as in `Rows`."""

    image: npt.NDArray[np.uint8]
    mel: npt.NDArray[np.float32]
    source: str
    category: str | None
    segment_id: str


class _Sample:
    """The `size` rows that come first in an order drawn by the seed, from any number of rows."""

    def __init__(self, size: int, seed: int) -> None:
        self._size, self._seed = size, seed
        self._kept: list[tuple[int, int, _Analysed]] = []
        self._added = 0

    def wants(self, segment: Segment) -> bool:
        """Whether `segment` belongs to the sample, as far as is known."""
        return len(self._kept) < self._size or self._place(segment) > self._kept[0][0]

    def add(self, segment: Segment, analysed: _Analysed) -> None:
        """Keep a row that is wanted."""
        self._added += 1
        entry = (self._place(segment), self._added, analysed)
        if len(self._kept) < self._size:
            heapq.heappush(self._kept, entry)
        else:
            heapq.heapreplace(self._kept, entry)

    def rows(self) -> list[_Analysed]:
        """The sample, by segment."""
        kept = (analysed for _, _, analysed in self._kept)
        return sorted(kept, key=lambda analysed: analysed.segment_id)

    def _place(self, segment: Segment) -> int:
        digest = hashlib.sha256(f"{self._seed}/{segment.segment_id}".encode()).digest()
        return int.from_bytes(digest[:8], "big")


def load_pool(dataset: Path, mind: Mind, limit: int, seed: int, trust: bool = False) -> Pool:
    """Read `dataset` as `mind` learned to: at most `limit` rows to measure, drawn by `seed`.

    Args:
        dataset: the folder that ytm-collect made.
        mind: what is to be measured.
        limit: rows to measure at most; of known ones at most `KNOWN_SHARE` times as many are kept.
        seed: another one draws others.
        trust: take a mind that does not say what it learned from to know nothing of the dataset.

    Raises:
        DatasetError: the dataset is missing, empty or damaged.
        EvaluationError: nothing in it is unseen, or that cannot be known.
    """
    opened = read_dataset(dataset)
    if mind.learned is None and not trust:
        raise EvaluationError(
            f"{mind.name}: carries no marks of what it learned from, so it cannot be known whether"
            f" it saw {dataset}; build it again with this version, or give --trust if you know"
        )
    learned = frozenset(mind.learned or ())
    unseen, known = _Sample(limit, seed), _Sample(KNOWN_SHARE * limit, seed)
    found = refused = 0
    for together in by_source(_shown(opened.segments(), len(opened))):
        is_known = any(not learned.isdisjoint(segment_marks(segment)) for segment in together)
        refused += len(together) if is_known else 0
        found += 0 if is_known else len(together)
        _sample(together, known if is_known else unseen, mind)
    if not found:
        raise EvaluationError(
            f"{dataset}: all {refused} segments are of videos that {mind.name} learned from or was"
            " chosen by; collect other videos, or divide with ytm-collect --test-share"
        )
    rows = known.rows()
    first = len(rows)
    rows += unseen.rows()
    return Pool(
        rows=_stacked(rows),
        known=np.arange(first),
        unseen=np.arange(first, len(rows)),
        refused=refused,
        found=found,
    )


def _shown(segments: Iterable[Segment], total: int) -> Iterable[Segment]:
    return track(
        segments,
        "reading the dataset",
        total=total,
        console=messages,
        disable=not messages.is_terminal,
        transient=True,
    )


def _sample(together: Sequence[Segment], sample: _Sample, mind: Mind) -> None:
    wanted = [segment for segment in together if sample.wants(segment)]
    if not wanted:
        return
    factor = power_factor(together, mind.listening)
    for segment in wanted:
        if sample.wants(segment):
            power = mel_power(segment.sound, segment.rate_hz, segment.onset_s, mind.listening)
            analysed = _Analysed(
                image=fit_image(segment.image, mind.image),
                mel=mind.sound.scale(power * factor),
                source=segment.source,
                category=segment.category,
                segment_id=segment.segment_id,
            )
            sample.add(segment, analysed)


def _stacked(rows: Sequence[_Analysed]) -> Rows:
    return Rows(
        images=np.stack([row.image for row in rows]),
        mels=np.stack([row.mel for row in rows]),
        sources=np.array([row.source for row in rows], object),
        categories=np.array([row.category for row in rows], object),
        segment_ids=np.array([row.segment_id for row in rows], object),
    )
