"""What is minimised: one lightning module for a VAE, one for an associator."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import lightning
import torch
from torch import Tensor, nn

from ytm_training.learn.batches import generator_for
from ytm_training.learn.config import Optimisation
from ytm_training.models.associator import Associator
from ytm_training.models.vae import Code, Vae


class Stage(lightning.LightningModule):
    """A network, its loss and its optimiser. Losses: squared error (mean) + weighted divergence."""

    def __init__(self, network: nn.Module, fit: Optimisation, seed: int) -> None:
        super().__init__()
        self.network = network
        self.fit_settings = fit
        self._seed = seed
        self._noise = generator_for(seed, "noise", 0)

    @abstractmethod
    def errors(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        """Squared error and divergence of a batch, scalars; no noise: by the posterior's mean."""

    def _losses(
        self, batch: tuple[Tensor, ...], noise: torch.Generator | None
    ) -> dict[str, Tensor]:
        errors = self.errors(batch, noise)
        loss = errors["error"] + self.fit_settings.kl_weight * errors["divergence"]
        return {"loss": loss, **errors}

    def on_train_epoch_start(self) -> None:
        self._noise = generator_for(self._seed, "noise", self.current_epoch, self.global_rank)

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        losses = self._losses(batch, self._noise)
        self._log("train", losses, len(batch[0]))
        return losses["loss"]

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        self._log("validation", self._losses(batch, None), len(batch[0]))

    def _log(self, part: str, losses: dict[str, Tensor], count: int) -> None:
        for name, value in losses.items():
            self.log(
                f"{part}/{name}",
                value,
                on_step=False,
                on_epoch=True,
                prog_bar=name == "loss",
                batch_size=count,
                sync_dist=part == "validation",
            )

    def configure_optimizers(self) -> Any:
        fit = self.fit_settings
        if fit.optimiser == "rmsprop":
            optimiser: torch.optim.Optimizer = torch.optim.RMSprop(
                self.parameters(), lr=fit.learning_rate
            )
        else:
            optimiser = torch.optim.AdamW(self.parameters(), lr=fit.learning_rate)
        if fit.schedule == "constant":
            return optimiser
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, _Cosine(fit.max_epochs))
        return {"optimizer": optimiser, "lr_scheduler": schedule}


class _Cosine:
    """Learning rate factor: five epochs of warm-up, then a half cosine down to a hundredth."""

    def __init__(self, epochs: int) -> None:
        self._epochs = epochs

    def __call__(self, epoch: int) -> float:
        done = min(1.0, epoch / max(1, self._epochs))
        return min(1.0, (epoch + 1) / 5) * (0.505 + 0.495 * math.cos(math.pi * done))


class VaeStage(Stage):
    """Fits a VAE to batches of one tensor (n, c, h, w)."""

    network: Vae

    def errors(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        (x,) = batch
        code: Code = self.network.encoder(x)
        latent = code.mean if noise is None else code.sample(noise)
        error = torch.nn.functional.mse_loss(self.network.decoder(latent), x)
        return {"error": error, "divergence": code.divergence().mean()}


class AssociatorStage(Stage):
    """Fits an associator to batches of (views of source latents (n, views, d), targets (n, d))."""

    network: Associator

    def errors(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        source, target = batch
        code = self.network.encode(source)
        latent = code.mean if noise is None else code.sample(noise)
        error = torch.nn.functional.mse_loss(
            self.network.decoder(latent), self.network.scaled_target(target)
        )
        return {"error": error, "divergence": code.divergence().mean()}


def pick_view(views: Tensor, random: torch.Generator) -> Tensor:
    """Choose one of several latents a sample: (n, views, d) -> (n, d)."""
    n, count, _ = views.shape
    return views[torch.arange(n), torch.randint(count, (n,), generator=random)]
