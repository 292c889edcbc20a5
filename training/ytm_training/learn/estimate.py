"""How long a run will take: every stage tried for a moment, and what it took multiplied."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from lightning.pytorch.callbacks import Callback
from rich.table import Table

from ytm_training.learn.batches import Augment
from ytm_training.learn.config import RunConfig
from ytm_training.learn.material import Material, load_material
from ytm_training.learn.progress import told
from ytm_training.learn.run import Run
from ytm_training.learn.stages import Stage
from ytm_training.learn.teaching import Samples, Teaching
from ytm_training.learn.training import teach

PAPER_PAIRS = 6091
"""Pairs of picture and sound that the artwork was trained on."""
TRIED_ROWS = 192
"""Rows that every stage is tried on: three batches of a VAE."""
CHECKED_ROWS = 32
TRIED_EPOCHS = 2
"""The first step of all is not counted: it also sets up."""


@dataclass(frozen=True)
class StageCost:
    """What one stage will take on the dataset it was tried for. All times in seconds."""

    name: str
    epochs: int
    """At most; early stopping may end it sooner."""
    grows: bool
    """Whether it learns from the dataset's own rows, and not from a number of its own."""
    preparing_s: float
    learning_s: float
    """Of an epoch: its steps."""
    checking_s: float
    """Of an epoch: validation."""
    rest_s: float
    """Of an epoch: checkpoints, curves and pictures."""

    def epoch_s(self, size: float = 1) -> float:
        """An epoch on a dataset `size` times as large."""
        return self._growth(size) * (self.learning_s + self.checking_s) + self.rest_s

    def total_s(self, size: float = 1) -> float:
        """All epochs, and what comes before them, on a dataset `size` times as large."""
        return self._growth(size) * self.preparing_s + self.epochs * self.epoch_s(size)

    def _growth(self, size: float) -> float:
        return size if self.grows else 1


@dataclass(frozen=True)
class Estimate:
    """What a whole run will take, but for the figures at its end."""

    pairs: int
    """Rows of the dataset."""
    reading_s: float
    stages: tuple[StageCost, ...]

    def total_s(self, pairs: int) -> float:
        """At most, for a dataset of `pairs` rows divided like this one."""
        size = pairs / self.pairs
        return size * self.reading_s + sum(stage.total_s(size) for stage in self.stages)

    def as_values(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {
            "pairs": self.pairs,
            "threads": torch.get_num_threads(),
            "reading_s": self.reading_s,
            "stages": {
                stage.name: {
                    "max_epochs": stage.epochs,
                    "epoch_s": stage.epoch_s(),
                    "at_most_s": stage.total_s(),
                }
                for stage in self.stages
            },
            "at_most_s": self.total_s(self.pairs),
            "at_most_s_for_paper_pairs": self.total_s(PAPER_PAIRS),
            "paper_pairs": PAPER_PAIRS,
        }

    def as_table(self) -> Table:
        """A line for each stage, and the sum."""
        size = PAPER_PAIRS / self.pairs
        paper = f"{PAPER_PAIRS:,} pairs"
        table = Table("at most", "epochs", "an epoch", f"{self.pairs:,} pairs", paper)
        table.add_row("reading", "", "", told(self.reading_s), told(size * self.reading_s))
        for stage in self.stages:
            times_s = (stage.epoch_s(), stage.total_s(), stage.total_s(size))
            table.add_row(stage.name, str(stage.epochs), *map(told, times_s))
        table.add_section()
        totals = (told(self.total_s(self.pairs)), told(self.total_s(PAPER_PAIRS)))
        table.add_row("together", "", "", *totals)
        return table


def estimate(dataset: Path, config: RunConfig) -> Estimate:
    """Try every stage of a run on a few rows of `dataset`; nothing of it is kept.

    Raises:
        DatasetError: the dataset is missing, damaged or too small.
    """
    started_s = time.monotonic()
    material = load_material(dataset, config)
    reading_s = time.monotonic() - started_s
    torch.manual_seed(config.seed)
    with TemporaryDirectory() as folder:
        run = Run(Path(folder))
        trial = _Trial(run, config, material)
        teach(trial, run.untrained(config, material.sound_spec.mel_shape))
    return Estimate(len(material.sources), reading_s, tuple(trial.costs))


class _Trial(Teaching):
    """Fits every stage for a moment, on some of the rows, and notes what it would take on all."""

    def __init__(self, run: Run, config: RunConfig, material: Material) -> None:
        train = material.rows(material.split.train)
        validation = material.rows(material.split.validation)
        tried, checked = _some(train, TRIED_ROWS), _some(validation, CHECKED_ROWS)
        super().__init__(run, config, _only(material, np.concatenate([tried, checked])))
        self.costs: list[StageCost] = []
        self._rows = len(train) / len(tried)
        self._checked_rows = len(validation) / len(checked)
        self._ready_s = time.monotonic()

    def fit(
        self,
        name: str,
        stage: Stage,
        learned: Samples,
        checked: Samples,
        augment: Augment | None = None,
        callbacks: list[Callback] | None = None,
    ) -> None:
        """See `Teaching.fit`; ends after `TRIED_EPOCHS`."""
        preparing_s = time.monotonic() - self._ready_s
        settings, watch = stage.fit_settings, _Watch()
        tried = min(TRIED_EPOCHS, settings.max_epochs)
        stage.fit_settings = settings.model_copy(update={"max_epochs": tried})
        super().fit(name, stage, learned, checked, augment, [*(callbacks or []), watch])
        grows = len(learned[0]) == len(self.train)
        rows = self._rows if grows else 1
        self.costs.append(
            StageCost(
                name,
                settings.max_epochs,
                grows,
                preparing_s=rows * preparing_s,
                learning_s=rows * len(learned[0]) * watch.sample_s(),
                checking_s=self._checked_rows * watch.checking_s,
                rest_s=watch.rest_s(),
            )
        )
        self._ready_s = time.monotonic()


def _some(rows: npt.NDArray[np.int64], count: int) -> npt.NDArray[np.int64]:
    """At most `count` of the rows, from everywhere among them."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(np.int64)]


def _only(material: Material, rows: npt.NDArray[np.int64]) -> Material:
    """The material, reduced to some of its rows."""

    def of(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[row] for row in rows)

    return replace(
        material,
        images=material.images[rows],
        mels=material.mels[rows],
        sources=of(material.sources),
        segment_ids=of(material.segment_ids),
        categories=of(material.categories),
        marks=of(material.marks),
    )


class _Watch(Callback):
    """Times the steps of all epochs, and the parts of the last one."""

    def __init__(self) -> None:
        self._paces_s: list[float] = []
        self._last_s = self._epoch_began_s = 0.0
        self._steps_s = self._epoch_s = 0.0
        self.checking_s = 0.0

    def sample_s(self) -> float:
        """Seconds to learn from one sample."""
        return statistics.median(self._paces_s[1:] or self._paces_s)

    def rest_s(self) -> float:
        """Seconds of an epoch that are neither steps nor validation."""
        return max(0.0, self._epoch_s - self._steps_s - self.checking_s)

    def on_train_epoch_start(self, *_: Any) -> None:
        self._last_s = self._epoch_began_s = time.monotonic()
        self._steps_s = 0.0

    def on_train_batch_end(self, *state: Any) -> None:
        _, _, _, batch, _ = state
        now_s = time.monotonic()
        self._paces_s.append((now_s - self._last_s) / len(batch[0]))
        self._steps_s += now_s - self._last_s
        self._last_s = now_s

    def on_validation_start(self, *_: Any) -> None:
        self._checking_began_s = time.monotonic()

    def on_validation_end(self, *_: Any) -> None:
        self.checking_s = time.monotonic() - self._checking_began_s

    def on_train_end(self, *_: Any) -> None:
        self._epoch_s = time.monotonic() - self._epoch_began_s
