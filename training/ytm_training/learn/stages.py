"""What is minimised: a lightning module for each kind of network."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Any

import lightning
import torch
from torch import Tensor, nn
from torch.nn import functional

from ytm_training.learn.batches import generator_for, seed_for
from ytm_training.learn.config import Optimisation
from ytm_training.learn.texture import texture_distance
from ytm_training.models.associator import VariationalAssociator
from ytm_training.models.bridge import Bridge, contrast
from ytm_training.models.flow import Flow, FlowAssociator
from ytm_training.models.vae import Code, Vae

WITHHELD = 0.15
"""Share of the pairs whose point a flow is not told."""


class Stage(lightning.LightningModule):
    """A network, its loss and its optimiser."""

    def __init__(self, network: nn.Module, fit: Optimisation, seed: int) -> None:
        super().__init__()
        self.network = network
        self.fit_settings = fit
        self._seed = seed
        self._noise = generator_for(seed, "noise", 0)

    @abstractmethod
    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        """What is minimised, as `loss`, and what it is made of: scalars.

        No noise: on validation, where every epoch must be judged alike.
        """

    def _with_divergence(self, error: Tensor, code: Code) -> dict[str, Tensor]:
        """The error (a mean) and the weighted divergence of a posterior."""
        divergence = code.divergence().mean()
        loss = error + self.fit_settings.kl_weight * divergence
        return {"loss": loss, "error": error, "divergence": divergence}

    def on_train_epoch_start(self) -> None:
        place = (self.current_epoch, self.global_rank)
        self._noise = generator_for(self._seed, "noise", *place)
        torch.manual_seed(seed_for(self._seed, "dropout", *place))

    def training_step(self, batch: tuple[Tensor, ...], _: int) -> Tensor:
        losses = self.losses(batch, self._noise)
        self._log("train", losses, len(batch[0]))
        return losses["loss"]

    def validation_step(self, batch: tuple[Tensor, ...], _: int) -> None:
        self._log("validation", self.losses(batch, None), len(batch[0]))

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
            optimiser = torch.optim.AdamW(
                self.parameters(), lr=fit.learning_rate, weight_decay=fit.weight_decay
            )
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
    """Fits a VAE to batches of one tensor (n, c, h, w): squared error, texture and divergence."""

    network: Vae

    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        (x,) = batch
        code: Code = self.network.encoder(x)
        answer = self.network.decoder(code.mean if noise is None else code.sample(noise))
        losses = self._with_divergence(functional.mse_loss(answer, x), code)
        if weight := self.fit_settings.texture_weight:
            losses["texture"] = texture_distance(answer, x)
            losses["loss"] = losses["loss"] + weight * losses["texture"]
        return losses


class VariationalStage(Stage):
    """Fits an associator to batches of (source latents (n, d), target latents (n, d))."""

    network: VariationalAssociator

    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        source, target = batch
        code = self.network.encode(source)
        answer = self.network.decoder(code.mean if noise is None else code.sample(noise))
        return self._with_divergence(functional.mse_loss(answer, self.network.target(target)), code)


class BridgeStage(Stage):
    """Fits a bridge to batches of (pairs of latents (n, 2, d), labels (n,))."""

    network: Bridge

    def __init__(self, network: Bridge, fit: Optimisation, seed: int, label_share: float) -> None:
        super().__init__(network, fit, seed)
        self._label_share = label_share

    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        pairs, labels = batch
        likeness = self.network.likeness(*pairs.unbind(1))
        return {"loss": contrast(likeness, labels, self._label_share)}


class FlowStage(Stage):
    """Fits a flow to batches of one tensor: points of the bridge beside answers, (n, e + d).

    The answers (standardised latents) lie at the end of a straight way from noise; what is learned
    is the velocity on that way. Now and then the point is withheld, so that the flow also learns
    the answers as a whole.
    """

    network: Flow

    def __init__(self, network: Flow, fit: Optimisation, seed: int, blur: float) -> None:
        super().__init__(network, fit, seed)
        self._blur = blur

    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        point, end = batch[0].tensor_split([self.network.shape.embedding_size], 1)
        noise = noise or generator_for(self._seed, "validation", 0)
        begin = torch.randn(end.shape, generator=noise).to(end.device)
        if self._blur:
            point = point + self._blur * torch.randn(point.shape, generator=noise).to(end.device)
        time, told = torch.rand(2, len(end), 1, generator=noise).to(end.device)
        x = begin + time * (end - begin)
        velocity = self.network(x, time, point * (told > WITHHELD))
        return {"loss": functional.mse_loss(velocity, end - begin)}


class PupilStage(Stage):
    """Fits a pupil to batches of (noise beside point (n, d + e), where the flow went (n, d))."""

    network: FlowAssociator

    def losses(self, batch: tuple[Tensor, ...], noise: torch.Generator | None) -> dict[str, Tensor]:
        given, arrived = batch
        size = self.network.shape.latent_size
        answer = self.network.answer(given[:, :size], given[:, size:])
        return {"loss": functional.mse_loss(answer, arrived)}


def pick_view(views: Tensor, random: torch.Generator) -> Tensor:
    """Choose one of several views a sample: (n, views, ...) -> (n, ...)."""
    n, count = views.shape[:2]
    return views[torch.arange(n), torch.randint(count, (n,), generator=random)]
