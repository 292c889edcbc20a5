"""From a dataset to a finished run: two VAEs, then two associators between their latents."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from ytm_device.console import say
from ytm_training.learn.augment import augment_mels, augment_pictures
from ytm_training.learn.batches import Batches, generator_for
from ytm_training.learn.config import Optimisation, RunConfig
from ytm_training.learn.fitting import fit, is_done
from ytm_training.learn.material import Material, load_material
from ytm_training.learn.quality import measure, representative
from ytm_training.learn.run import Exemplars, Networks, Run
from ytm_training.learn.showing import ShowReconstructions, write_examples
from ytm_training.learn.stages import AssociatorStage, VaeStage, pick_view
from ytm_training.learn.tensors import mels_to_tensor, pictures_to_tensor
from ytm_training.models.associator import Associator
from ytm_training.models.vae import Vae

VIEWS = 8
EXEMPLARS = 32
_ENCODE_BATCH = 64

Augmentation = Callable[[float, Tensor, torch.Generator], Tensor]


def train(dataset: Path, folder: Path, config: RunConfig) -> Run:
    """Train on `dataset` as `config` says, or go on with the run in `folder`.

    Under `torchrun` every process calls this; the first writes what is not a checkpoint.

    Raises:
        DatasetError: the dataset is missing, damaged or too small.
        RunError: `folder` holds something else, or a run that differs.
        KeyboardInterrupt: stopped by hand; calling again goes on.
    """
    material = load_material(dataset, config)
    run = Run(folder)
    if _is_first():
        run.begin(config, material)
    torch.manual_seed(config.seed)
    networks = run.untrained(config, material.sound_spec.mel_shape)
    pictures, mels = pictures_to_tensor(material.images), mels_to_tensor(material.mels)
    teaching = _Teaching(run, config, material)
    teaching.vae("image_vae", networks.image_vae, config.image_vae.fit, pictures)
    teaching.vae("sound_vae", networks.sound_vae, config.sound_vae.fit, mels)
    seen = teaching.views(networks.image_vae, config.associator.fit, pictures, augment_pictures)
    heard = teaching.views(networks.sound_vae, config.associator.fit, mels, augment_mels)
    teaching.associator("image_to_sound", networks.image_to_sound, seen, heard[:, 0])
    teaching.associator("sound_to_image", networks.sound_to_image, heard, seen[:, 0])
    if _is_first():
        _finish(run, networks, material, seen[:, 0])
    return run


class _Teaching:
    """The stages of one run, in the order they are called."""

    def __init__(self, run: Run, config: RunConfig, material: Material) -> None:
        self._run, self._config = run, config
        split = material.split
        self._train = torch.from_numpy(material.rows(split.train))
        self._validation = torch.from_numpy(material.rows(split.validation))
        self._sound_spec = material.sound_spec

    def vae(self, name: str, network: Vae, settings: Optimisation, samples: Tensor) -> None:
        """Fit a VAE to its rows of `samples` (n, c, h, w)."""
        train, validation = samples[self._train], samples[self._validation]
        if network.shape.linear_pool:
            network.begin_at_principal_components(train)
        sounds = name == "sound_vae"
        augmentation: Augmentation = augment_mels if sounds else augment_pictures
        batches = Batches(train, settings.batch_size).shuffle(
            self._config.seed, _augment(augmentation, settings.augmentation)
        )
        show = ShowReconstructions(validation, self._sound_spec if sounds else None)
        self._announce(name)
        fit(
            VaeStage(network, settings, self._config.seed),
            batches,
            Batches(validation, settings.batch_size),
            self._run.stage_folder(name),
            [show],
        )

    @torch.no_grad()
    def views(
        self, network: Vae, settings: Optimisation, samples: Tensor, augmentation: Augmentation
    ) -> Tensor:
        """Latents of every sample as it is and, if asked for, augmented: (n, views, d)."""
        random = generator_for(self._config.seed, "views", 0)
        count = VIEWS if settings.augmentation else 1
        views = []
        for index in range(count):
            strength = settings.augmentation if index else 0.0
            parts = [
                network.encoder(augmentation(strength, part, random) if index else part).mean
                for part in torch.split(samples, _ENCODE_BATCH)
            ]
            views.append(torch.cat(parts))
        return torch.stack(views, 1)

    def associator(self, name: str, network: Associator, source: Tensor, target: Tensor) -> None:
        """Fit an associator from `source` (n, views, d) to `target` (n, d)."""
        settings = self._config.associator.fit
        network.standardise(source[self._train].flatten(0, 1), target[self._train])
        train = (source[self._train], target[self._train])
        validation = (source[self._validation, 0], target[self._validation])
        self._announce(name)
        fit(
            AssociatorStage(network, settings, self._config.seed),
            Batches(train, settings.batch_size).shuffle(self._config.seed, pick_view),
            Batches(validation, settings.batch_size),
            self._run.stage_folder(name),
            [],
        )

    def _announce(self, name: str) -> None:
        if _is_first():
            done = " (done before)" if is_done(self._run.stage_folder(name)) else ""
            say(f"{name}: {len(self._train)} to learn from, {len(self._validation)} to check{done}")


def _augment(augmentation: Augmentation, strength: float) -> Callable[..., Tensor] | None:
    return partial(augmentation, strength) if strength else None


def _is_first() -> bool:
    return os.environ.get("RANK", "0") == "0"


def _finish(run: Run, networks: Networks, material: Material, latents: Tensor) -> None:
    train = material.rows(material.split.train)
    chosen = train[
        representative(latents[torch.from_numpy(train)].numpy(), EXEMPLARS, run.config().seed)
    ]
    run.write_exemplars(Exemplars(material.images[chosen], material.mels[chosen]))
    write_examples(run, networks, material)
    run.write_metrics(measure(networks, material))
