"""One stage from its first epoch to its best weights, through any number of interruptions."""

from __future__ import annotations

import json
import logging
import os
import pickle
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import lightning
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    ModelCheckpoint,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.plugins.io import TorchCheckpointIO

from ytm_bundle.errors import RunError
from ytm_bundle.files import replacing
from ytm_training.learn.batches import Batches
from ytm_training.learn.progress import ShowProgress
from ytm_training.learn.stages import Stage

# What torch.load raises for a file that is missing, cut short or something else.
_UNREADABLE = (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError)
_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed"]] = {
    "float32": "32-true",
    "bfloat16": "bf16-mixed",
}
BEST, LAST, DONE = "best.ckpt", "last.ckpt", "done.json"


class DurableCheckpoints(TorchCheckpointIO):
    """Checkpoints that are whole or absent: temporary name, fsync, rename."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any | None = None
    ) -> None:
        with replacing(Path(path)) as temporary:
            super().save_checkpoint(checkpoint, temporary, storage_options)


class _Epochs(Callback):
    """Tells the training batches which epoch and which share of the samples they serve."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def on_fit_start(self, trainer: lightning.Trainer, _: lightning.LightningModule) -> None:
        self._batches.share(trainer.global_rank, trainer.world_size)

    def on_train_epoch_start(
        self, trainer: lightning.Trainer, _: lightning.LightningModule
    ) -> None:
        self._batches.set_epoch(trainer.current_epoch)


def is_done(folder: Path) -> bool:
    """Whether the stage in `folder` has its final weights."""
    return (folder / DONE).is_file() and (folder / BEST).is_file()


def fit(
    stage: Stage, training: Batches, validation: Batches, folder: Path, callbacks: list[Callback]
) -> None:
    """Fit `stage`, or go on where `folder/last.ckpt` left off, and load the best weights into it.

    Args:
        stage: fitted in place.
        training: what is learned from.
        validation: what decides when to stop and which weights are best.
        folder: receives `best.ckpt`, `last.ckpt` and `done.json`.
        callbacks: called besides our own.

    Raises:
        RunError: a checkpoint in `folder` is damaged.
        KeyboardInterrupt: stopped by hand; calling again goes on.
    """
    if not is_done(folder):
        last = folder / LAST
        resumed = _read(last) if last.is_file() else None
        with _quiet():
            trainer = _trainer(stage, training, folder, callbacks)
            if resumed is None or not _has_stopped(resumed, stage):
                try:
                    trainer.fit(stage, training, validation, ckpt_path=last if resumed else None)
                except SystemExit:
                    # Lightning's answer to Ctrl-C, since 2.5; the command has a better one.
                    if not trainer.interrupted:
                        raise
        if trainer.interrupted:
            raise KeyboardInterrupt
        if trainer.is_global_zero:
            _mark_done(folder)
        trainer.strategy.barrier()
    load_best(stage.network, folder)


def load_best(network: torch.nn.Module, folder: Path) -> None:
    """Load the best weights of `folder` into `network`, on the CPU, ready for inference.

    Raises:
        RunError: they are missing, damaged or of another network.
    """
    path = folder / BEST
    if not path.is_file():
        raise RunError(f"{path}: missing; finish the run with ytm-train")
    weights = {
        name.removeprefix("network."): weight
        for name, weight in _read(path).get("state_dict", {}).items()
    }
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise RunError(
            f"{path}: not weights of this network ({str(error).split(':')[0]}); train it again"
        ) from error
    network.eval().cpu()


def _read(path: Path) -> dict[str, Any]:
    try:
        checkpoint: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise RunError(f"{path}: damaged checkpoint ({error}); remove it to begin again") from error
    return checkpoint


def _has_stopped(checkpoint: dict[str, Any], stage: Stage) -> bool:
    """Whether the checkpoint is that of the last epoch there is to be."""
    stopping = next(
        (
            state
            for name, state in checkpoint["callbacks"].items()
            if name.startswith(EarlyStopping.__name__)
        ),
        {"wait_count": 0},
    )
    fit_settings = stage.fit_settings
    return bool(
        stopping["wait_count"] >= fit_settings.patience
        or checkpoint["epoch"] + 1 >= fit_settings.max_epochs
    )


def _mark_done(folder: Path) -> None:
    checkpoint = _read(folder / LAST)
    with replacing(folder / DONE) as temporary:
        temporary.write_text(json.dumps({"epochs": checkpoint["epoch"] + 1}) + "\n")


def _trainer(
    stage: Stage, training: Batches, folder: Path, callbacks: list[Callback]
) -> lightning.Trainer:
    judged = f"{stage.fit_settings.judge}/loss"
    best = ModelCheckpoint(
        folder,
        filename=Path(BEST).stem,
        monitor=judged,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    last = ModelCheckpoint(
        folder,
        filename=Path(LAST).stem,
        save_on_train_epoch_end=True,
        enable_version_counter=False,
    )
    stopping = EarlyStopping(
        judged, patience=stage.fit_settings.patience, check_on_train_epoch_end=True
    )
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    return lightning.Trainer(
        accelerator="auto",
        devices=int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        num_nodes=processes // int(os.environ.get("LOCAL_WORLD_SIZE", "1")),
        strategy="ddp" if processes > 1 else "auto",
        max_epochs=stage.fit_settings.max_epochs,
        precision=_PRECISIONS[stage.fit_settings.precision],
        logger=TensorBoardLogger(
            folder.parent.parent / "tensorboard", name=folder.name, version=""
        ),
        callbacks=[
            _Epochs(training),
            stopping,
            ShowProgress(folder.name),
            *callbacks,
            best,
            last,
        ],
        plugins=[DurableCheckpoints()],
        deterministic=True,
        use_distributed_sampler=False,
        num_sanity_val_steps=0,
        log_every_n_steps=1,
        enable_model_summary=False,
        enable_progress_bar=False,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep lightning's advice about data loaders, which these batches are not, off the terminal."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
        yield
