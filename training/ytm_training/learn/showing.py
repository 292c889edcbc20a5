"""What a run looks and sounds like: curves' companions in TensorBoard, and files in the run."""

from __future__ import annotations

from pathlib import Path

import lightning
import numpy as np
import numpy.typing as npt
import soundfile
import torch
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger
from PIL import Image
from torch import Tensor

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.files import replacing
from ytm_bundle.manifest import SoundSpec
from ytm_device.sound.player import Player
from ytm_training.learn.hearing import mel_matrix
from ytm_training.learn.material import Material
from ytm_training.learn.run import Networks, Run
from ytm_training.learn.stages import VaeStage
from ytm_training.learn.tensors import (
    mels_to_tensor,
    pictures_to_tensor,
    tensor_to_mels,
    tensor_to_pictures,
)

EVERY_EPOCHS = 10
SHOWN = 8
SOUND_SECONDS = 2


def mel_matrices(sound: SoundSpec) -> MelMatrices:
    """The filter bank of a sound spec, and its pseudo-inverse."""
    forward = mel_matrix(sound.analysis_rate_hz, sound.n_fft, sound.n_mels)
    # Empty and doubled bands make the bank rank-deficient; what is numerically nothing is cut off.
    inverse = np.linalg.pinv(forward.astype(np.float64), rcond=1e-6).astype(np.float32)
    return MelMatrices(forward, inverse)


def heard(
    mel: npt.NDArray[np.float32],
    sound: SoundSpec,
    matrices: MelMatrices | None = None,
    seconds: int = SOUND_SECONDS,
) -> npt.NDArray[np.float32]:
    """What the mirror plays for one scaled mel: (samples,) at the playback rate.

    `matrices` are those of a bundle, which need not be what librosa makes today.
    """
    player = Player(sound, matrices or mel_matrices(sound))
    player.follow(mel)
    return player.pull(seconds * sound.playback_rate_hz)


def sheet(*rows: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Pictures below pictures: each row uint8 (n, h, w, 3) -> one uint8 (rows * h, n * w, 3)."""
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows])


class ShowReconstructions(Callback):
    """Shows pictures or sounds of the validation split and their reconstructions in TensorBoard."""

    def __init__(self, examples: Tensor, sound: SoundSpec | None) -> None:
        """Show `examples` (n, c, h, w): mels of `sound`, or pictures if that is None."""
        self._examples, self._sound = examples[:SHOWN], sound

    @torch.no_grad()
    def on_train_epoch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        epoch = trainer.current_epoch
        if epoch % EVERY_EPOCHS or not trainer.is_global_zero:
            return
        assert isinstance(pl_module, VaeStage)
        assert isinstance(trainer.logger, TensorBoardLogger)
        network = pl_module.network.eval()
        code = network.encoder(self._examples.to(pl_module.device))
        rebuilt = network.decoder(code.mean).cpu()
        network.train()
        if self._sound is None:
            picture = sheet(tensor_to_pictures(self._examples), tensor_to_pictures(rebuilt))
            trainer.logger.experiment.add_image("seen", picture, epoch, dataformats="HWC")
        else:
            self._show_sounds(trainer.logger, self._sound, rebuilt, epoch)

    def _show_sounds(
        self, logger: TensorBoardLogger, sound: SoundSpec, rebuilt: Tensor, epoch: int
    ) -> None:
        mels = torch.cat([self._examples, rebuilt], 2).flip(2)  # low bands at the bottom
        row = torch.cat(list(mels), 2)[0].clamp(0, 1)
        logger.experiment.add_image("heard", row, epoch, dataformats="HW")
        samples = heard(tensor_to_mels(rebuilt[:1])[0], sound)
        logger.experiment.add_audio("rebuilt", samples[None], epoch, sound.playback_rate_hz)


@torch.no_grad()
def write_examples(run: Run, networks: Networks, material: Material) -> None:
    """Write pictures and sounds of the test split, and what the networks make of them."""
    rows = material.rows(material.split.test)
    rows = rows[np.linspace(0, len(rows) - 1, min(SHOWN, len(rows))).astype(int)]
    latent = networks.image_vae.encoder(pictures_to_tensor(material.images[rows])).mean
    rebuilt = tensor_to_pictures(networks.image_vae.decoder(latent))
    mels = mels_to_tensor(material.mels[rows])
    from_sound = networks.sound_to_image(networks.sound_vae.encoder(mels).mean)
    imagined = tensor_to_pictures(networks.image_vae.decoder(from_sound))
    _write_picture(
        run.folder / "pictures" / "seen-rebuilt-imagined.png",
        sheet(material.images[rows], rebuilt, imagined),
    )
    resounded = networks.sound_vae.decoder(networks.sound_vae.encoder(mels).mean)
    from_picture = networks.sound_vae.decoder(networks.image_to_sound(latent))
    versions = {"true": mels, "rebuilt": resounded, "from-picture": from_picture}
    for name, sounds in versions.items():
        for index, mel in enumerate(tensor_to_mels(sounds)):
            _write_sound(run.folder / "sounds" / f"{index}-{name}.wav", mel, material.sound_spec)


def _write_picture(path: Path, picture: npt.NDArray[np.uint8]) -> None:
    with replacing(path) as temporary:
        Image.fromarray(picture).save(temporary)


def _write_sound(path: Path, mel: npt.NDArray[np.float32], sound: SoundSpec) -> None:
    with replacing(path) as temporary:
        soundfile.write(temporary, heard(mel, sound), sound.playback_rate_hz)
