"""A dataset as the arrays that are learned from."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from rich.progress import track

from ytm_bundle.manifest import ImageSpec, SoundSpec, Source
from ytm_device.console import messages
from ytm_training.dataset import read_dataset
from ytm_training.learn.config import RunConfig, SoundSettings
from ytm_training.learn.hearing import mel_power, sound_spec, source_gain_db
from ytm_training.marks import segment_marks
from ytm_training.media import fit_image
from ytm_training.segment import Segment
from ytm_training.splitting import Split, stored_split


@dataclass(frozen=True)
class Material:
    """n segments as pictures and scaled mels, with where they came from."""

    image_spec: ImageSpec
    sound_spec: SoundSpec
    split: Split
    images: npt.NDArray[np.uint8]
    """(n, h, w, 3), RGB, at the model's size."""
    mels: npt.NDArray[np.float32]
    """(n, n_mels, frames), scaled to [0, 1]."""
    sources: tuple[str, ...]
    """The video of each segment."""
    segment_ids: tuple[str, ...]
    categories: tuple[str | None, ...]
    """What the dataset calls each segment's kind, if anything."""
    marks: tuple[tuple[str, ...], ...]
    """By which each segment is known again."""
    credits: tuple[Source, ...]
    """The videos of the training part, for the bundle's manifest."""

    def rows(self, part: Sequence[str]) -> npt.NDArray[np.int64]:
        """Indices of the segments whose source is in `part`."""
        chosen = set(part)
        return np.flatnonzero([source in chosen for source in self.sources])

    def learned(self) -> tuple[str, ...]:
        """The marks of all segments that teach or decide when to stop, in order."""
        rows = self.rows((*self.split.train, *self.split.validation))
        return tuple(sorted({mark for row in rows for mark in self.marks[row]}))


@dataclass(frozen=True)
class _Row:
    """One segment before the scale of the sound is known."""

    segment_id: str
    source: str
    category: str | None
    marks: tuple[str, ...]
    credit: tuple[str, str, str]
    image: npt.NDArray[np.uint8]
    power: npt.NDArray[np.float32]


def load_material(dataset: Path, config: RunConfig) -> Material:
    """Read a dataset and its split by source, level its loudness and analyse its sound.

    Raises:
        DatasetError: it is missing or damaged, or has too few videos to train on.
    """
    opened = read_dataset(dataset)
    picture = config.picture
    image_spec = ImageSpec(width=picture.size, height=picture.size, fit=picture.fit)
    segments = track(
        opened.segments(),
        "reading the dataset",
        total=len(opened),
        console=messages,
        disable=not messages.is_terminal,
    )
    rows = sorted(_rows(segments, image_spec, config), key=lambda row: row.segment_id)
    sources = [row.source for row in rows]
    split = stored_split(dataset, sources)
    power = np.stack([row.power for row in rows])
    spec = sound_spec(config.sound, power[np.isin(sources, split.train)])
    return Material(
        image_spec=image_spec,
        sound_spec=spec,
        split=split,
        images=np.stack([row.image for row in rows]),
        mels=spec.scale(power),
        sources=tuple(sources),
        segment_ids=tuple(row.segment_id for row in rows),
        categories=tuple(row.category for row in rows),
        marks=tuple(row.marks for row in rows),
        credits=_credits(row.credit for row in rows if row.source in set(split.train)),
    )


def by_source(segments: Iterable[Segment]) -> Iterator[list[Segment]]:
    """The segments of each source, which follow each other in a dataset."""
    for _, together in itertools.groupby(segments, key=lambda segment: segment.source):
        yield list(together)


def power_factor(together: Sequence[Segment], settings: SoundSettings) -> float:
    """What the mel power of one source's segments is multiplied with: one gain for all of them."""
    sounds = [segment.sound for segment in together]
    gain_db = source_gain_db(sounds, together[0].rate_hz, settings)
    return float(10 ** (gain_db / 10))


def _rows(segments: Iterable[Segment], image_spec: ImageSpec, config: RunConfig) -> Iterator[_Row]:
    for together in by_source(segments):
        factor = power_factor(together, config.sound)
        for segment in together:
            power = mel_power(segment.sound, segment.rate_hz, segment.onset_s, config.sound)
            yield _Row(
                segment_id=segment.segment_id,
                source=segment.source,
                category=segment.category,
                marks=segment_marks(segment),
                credit=(
                    segment.title or segment.source,
                    segment.licence or "not stated",
                    segment.origin or "not stated",
                ),
                image=fit_image(segment.image, image_spec),
                power=power * factor,
            )


def _credits(rows: Iterable[tuple[str, str, str]]) -> tuple[Source, ...]:
    return tuple(
        Source(title=title, licence=licence, origin=origin, segments=count)
        for (title, licence, origin), count in sorted(Counter(rows).items())
    )
