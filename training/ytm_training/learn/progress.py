"""How far a stage is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import statistics
import time
from collections import deque

import lightning
from lightning.pytorch.callbacks import Callback
from rich.progress import BarColumn, Progress, TextColumn

from ytm_device.console import messages, say

LINE_EVERY_S = 30.0
_RECENT = 15
"""Epochs that tell how long the next ones will take."""


def told(seconds: float) -> str:
    """A duration for people, rounded: `8 s`, `12 min`, `3 h 20 min`."""
    if seconds < 1:
        return f"{seconds:.2f} s"
    if round(seconds) < 120:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class Pace:
    """How long the epochs of a stage take."""

    def __init__(self, began_s: float) -> None:
        self._last_s = began_s
        self._recent_s: deque[float] = deque(maxlen=_RECENT)

    def finished(self, now_s: float) -> None:
        """An epoch ended at `now_s`, on a clock that never jumps."""
        self._recent_s.append(now_s - self._last_s)
        self._last_s = now_s

    def left_s(self, epochs: int) -> float:
        """Seconds that `epochs` more will take, by the median of the recent ones."""
        return epochs * statistics.median(self._recent_s)


class ShowProgress(Callback):
    """Shows epoch, losses and the time left for this stage, were it not to stop early."""

    def __init__(self, stage: str) -> None:
        self._stage = stage
        self._told_s = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("epoch {task.completed:.0f}/{task.total:.0f} {task.fields[news]}"),
            console=messages,
            disable=not messages.is_terminal,
        )

    def on_fit_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        self._pace = Pace(time.monotonic())
        if trainer.is_global_zero:
            self._bar.start()
            self._task = self._bar.add_task(self._stage, total=trainer.max_epochs, news="")

    def on_train_epoch_end(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        if not trainer.is_global_zero:
            return
        now_s, epoch = time.monotonic(), trainer.current_epoch + 1
        self._pace.finished(now_s)
        left = told(self._pace.left_s((trainer.max_epochs or epoch) - epoch))
        metrics = trainer.callback_metrics
        losses = f"loss {metrics['train/loss']:.4f}, on validation {metrics['validation/loss']:.4f}"
        news = f"{losses}, at most {left} left"
        self._bar.update(self._task, completed=epoch, news=news)
        if not messages.is_terminal and now_s - self._told_s > LINE_EVERY_S:
            self._told_s = now_s
            say(f"{self._stage}: epoch {epoch} of at most {trainer.max_epochs}, {news}")

    def teardown(
        self, trainer: lightning.Trainer, _: lightning.LightningModule, stage: str
    ) -> None:
        self._bar.stop()
