"""How far a stage is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ytm_device.console import messages, say

LINE_EVERY_S = 30.0


class ShowProgress(Callback):
    """Shows epoch, losses and an estimate of the time left, were no stage to stop early."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._told_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f} {task.fields[losses]}"),
            TimeRemainingColumn(),
            console=messages,
            disable=not messages.is_terminal,
        )

    def on_fit_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        if trainer.is_global_zero:
            self._bar.start()
            self._task = self._bar.add_task(self._stage, total=trainer.max_epochs, losses="")

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        epoch = trainer.current_epoch + 1
        metrics = trainer.callback_metrics
        losses = f"loss {metrics['train/loss']:.4f}, on validation {metrics['validation/loss']:.4f}"
        self._bar.update(self._task, completed=epoch, losses=losses)
        if not messages.is_terminal and time.monotonic() - self._told_s > LINE_EVERY_S:
            self._told_s = time.monotonic()
            say(f"{self._stage}: epoch {epoch} of at most {trainer.max_epochs}, {losses}")

    def teardown(
        self, trainer: lightning.Trainer, _: lightning.LightningModule, stage: str
    ) -> None:
        self._bar.stop()
