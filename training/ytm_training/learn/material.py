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
from ytm_training.learn.config import RunConfig
from ytm_training.learn.hearing import mel_power, sound_spec, source_gain_db
from ytm_training.learn.split import Split, split_sources
from ytm_training.media import fit_image
from ytm_training.segment import Segment


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
    credits: tuple[Source, ...]
    """The videos of the training part, for the bundle's manifest."""

    def rows(self, part: Sequence[str]) -> npt.NDArray[np.int64]:
        """Indices of the segments whose source is in `part`."""
        chosen = set(part)
        return np.flatnonzero([source in chosen for source in self.sources])


@dataclass(frozen=True)
class _Row:
    """One segment before the scale of the sound is known."""

    segment_id: str
    source: str
    credit: tuple[str, str, str]
    image: npt.NDArray[np.uint8]
    power: npt.NDArray[np.float32]


def load_material(dataset: Path, config: RunConfig) -> Material:
    """Read a dataset, split it by source, level its loudness and analyse its sound.

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
    split = split_sources(sources, config.validation_share, config.test_share, config.seed)
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
        credits=_credits(row.credit for row in rows if row.source in set(split.train)),
    )


def _rows(segments: Iterable[Segment], image_spec: ImageSpec, config: RunConfig) -> Iterator[_Row]:
    """Reduce segments to rows; those of one source follow each other and share one gain."""
    for source, group in itertools.groupby(segments, key=lambda segment: segment.source):
        together = list(group)
        gain_db = source_gain_db(
            [segment.sound for segment in together], together[0].rate_hz, config.sound
        )
        factor = np.float32(10 ** (gain_db / 10))
        for segment in together:
            power = mel_power(segment.sound, segment.rate_hz, segment.onset_s, config.sound)
            yield _Row(
                segment_id=segment.segment_id,
                source=source,
                credit=(
                    segment.title or source,
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
