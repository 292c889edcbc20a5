"""One stage of a run, whatever it fits: its rows, its batches, its folder, its announcement."""

from __future__ import annotations

import os

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from ytm_device.console import say
from ytm_training.learn.batches import Augment, Batches
from ytm_training.learn.config import RunConfig
from ytm_training.learn.fitting import fit, is_done
from ytm_training.learn.material import Material
from ytm_training.learn.run import Run
from ytm_training.learn.stages import Stage

Samples = tuple[Tensor, ...]


def is_first() -> bool:
    """Whether this process is the one that writes what is not a checkpoint."""
    return os.environ.get("RANK", "0") == "0"


class Teaching:
    """What all stages of one run share."""

    def __init__(self, run: Run, config: RunConfig, material: Material) -> None:
        self.run, self.config, self.material = run, config, material
        self.train = torch.from_numpy(material.rows(material.split.train))
        self.validation = torch.from_numpy(material.rows(material.split.validation))

    def is_done(self, name: str) -> bool:
        """Whether the stage called `name` has its final weights."""
        return is_done(self.run.stage_folder(name))

    def fit(
        self,
        name: str,
        stage: Stage,
        learned: Samples,
        checked: Samples,
        augment: Augment | None = None,
        callbacks: list[Callback] | None = None,
    ) -> None:
        """Fit `stage`, go on with it, or load what it learned before.

        Args:
            name: of its folder in the run.
            stage: its network is fitted in place.
            learned: tensors (n, ...) that batches are drawn from.
            checked: tensors (m, ...) that say how it does on what it does not learn from.
            augment: changes the first tensor of a batch.
            callbacks: called besides our own.
        """
        if is_first():
            done = " (done before)" if self.is_done(name) else ""
            say(f"{name}: {len(learned[0])} to learn from, {len(checked[0])} to check{done}")
        size = stage.fit_settings.batch_size
        batches = Batches(learned, size).shuffle(self.config.seed, augment)
        folder = self.run.stage_folder(name)
        fit(stage, batches, Batches(checked, size), folder, callbacks or [])
