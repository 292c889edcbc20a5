"""A run as a mind: its networks, in torch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ytm_bundle.bundle import MelMatrices
from ytm_training.evaluation.batched import Array, Pictures, batched
from ytm_training.learn.run import Associator, Networks, Run
from ytm_training.learn.showing import mel_matrices
from ytm_training.learn.tensors import (
    mels_to_tensor,
    pictures_to_tensor,
    tensor_to_mels,
    tensor_to_pictures,
)


class RunMind:
    """The networks of a finished run, in torch."""

    def __init__(self, run: Run) -> None:
        """Load the best weights of `run`.

        Raises:
            RunError: it is not finished, or damaged.
        """
        material, config = run.material(), run.config()
        self._networks: Networks = run.trained()
        self.name = f"run {run.folder.absolute().name}"
        self.backend = f"torch {torch.__version__}"
        self.image, self.sound = material.image, material.sound
        self.listening = config.sound
        self.latent_size = config.latent_size
        self.learned: tuple[str, ...] | None = material.learned or None

    def matrices(self) -> MelMatrices:
        """See `Mind.matrices`."""
        return mel_matrices(self.sound)

    def see(self, pictures: Pictures) -> Array:
        """See `Mind.see`."""
        encoder = self._networks.image_vae.encoder
        return batched(lambda part: _array(encoder(pictures_to_tensor(part)).mean), pictures)

    def hear(self, mels: Array) -> Array:
        """See `Mind.hear`."""
        encoder = self._networks.sound_vae.encoder
        return batched(lambda part: _array(encoder(mels_to_tensor(part)).mean), mels)

    def picture(self, latents: Array) -> Pictures:
        """See `Mind.picture`."""
        decoder = self._networks.image_vae.decoder
        return batched(lambda part: tensor_to_pictures(decoder(torch.from_numpy(part))), latents)

    def sound_from(self, latents: Array) -> Array:
        """See `Mind.sound_from`."""
        decoder = self._networks.sound_vae.decoder
        return batched(lambda part: tensor_to_mels(decoder(torch.from_numpy(part))), latents)

    def sound_of(self, latents: Array, noise: Array | None = None) -> Array:
        """See `Mind.sound_of`."""
        return _associated(self._networks.image_to_sound, latents, noise)

    def picture_of(self, latents: Array, noise: Array | None = None) -> Array:
        """See `Mind.picture_of`."""
        return _associated(self._networks.sound_to_image, latents, noise)


def _array(tensor: Tensor) -> Array:
    return np.asarray(tensor.numpy())


@torch.inference_mode()
def _associated(network: Associator, latents: Array, noise: Array | None) -> Array:
    given = [torch.from_numpy(latents)]
    if network.takes_noise:
        given.append(torch.from_numpy(np.zeros_like(latents) if noise is None else noise))
    answer: Tensor = network(*given)
    return _array(answer)
