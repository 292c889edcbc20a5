"""The stages that learn to code one sense, and the codes that the associators learn from."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from ytm_training.learn.augment import augment_mels, augment_pictures
from ytm_training.learn.batches import generator_for
from ytm_training.learn.config import VaeSettings
from ytm_training.learn.showing import ShowReconstructions
from ytm_training.learn.stages import VaeStage
from ytm_training.learn.teaching import Teaching
from ytm_training.learn.tensors import mels_to_tensor, pictures_to_tensor
from ytm_training.models.vae import Vae

VIEWS = 8
_ENCODE_BATCH = 64

Augmentation = Callable[[float, Tensor, torch.Generator], Tensor]


def code_pictures(teaching: Teaching, network: Vae) -> Tensor:
    """Fit the VAE of pictures; what it makes of all of them, as `_views` says."""
    pictures = pictures_to_tensor(teaching.material.images)
    augmentation = partial(augment_pictures, flips=teaching.config.picture.flips)
    _fit(teaching, "image_vae", network, pictures, augmentation)
    return _views(teaching, network, pictures, augmentation)


def code_sounds(teaching: Teaching, network: Vae) -> Tensor:
    """Fit the VAE of sounds; what it makes of all of them, as `_views` says."""
    mels = mels_to_tensor(teaching.material.mels)
    _fit(teaching, "sound_vae", network, mels, augment_mels)
    return _views(teaching, network, mels, augment_mels)


def _fit(
    teaching: Teaching, name: str, network: Vae, samples: Tensor, augmentation: Augmentation
) -> None:
    settings: VaeSettings = getattr(teaching.config, name)
    train, validation = samples[teaching.train], samples[teaching.validation]
    if network.shape.linear_pool and not teaching.is_done(name):
        network.begin_at_principal_components(train)
    strength = settings.fit.augmentation
    sound = teaching.material.sound_spec if name == "sound_vae" else None
    teaching.fit(
        name,
        VaeStage(network, settings.fit, teaching.config.seed),
        (train,),
        (validation,),
        partial(augmentation, strength) if strength else None,
        [ShowReconstructions(validation, sound)],
    )


@torch.no_grad()
def _views(teaching: Teaching, network: Vae, samples: Tensor, augmentation: Augmentation) -> Tensor:
    """Latents of every sample as it is and, if asked for, augmented: (n, views, d)."""
    strength = teaching.config.associator.fit.augmentation
    random = generator_for(teaching.config.seed, "views", 0)
    views = []
    for index in range(VIEWS if strength else 1):
        parts = [
            network.encoder(augmentation(strength, part, random) if index else part).mean
            for part in torch.split(samples, _ENCODE_BATCH)
        ]
        views.append(torch.cat(parts))
    return torch.stack(views, 1)
