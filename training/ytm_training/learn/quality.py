"""How well the networks do on videos they never saw, beside what simpler means would get."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor

from ytm_training.comparison import (
    decibels_off,
    predict_from_components,
    predict_from_mean_colour,
    psnr_db,
    ssim,
)
from ytm_training.learn.material import Material
from ytm_training.learn.run import Networks
from ytm_training.learn.tensors import mels_to_tensor, pictures_to_tensor

PICTURE_DISTANCE = "picture_latent_distance"
_COMPARED = 500


@torch.no_grad()
def measure(networks: Networks, material: Material) -> dict[str, float]:
    """Figures on the test split; `*_by_mean_colour`, `*_by_components` and `*_by_average` compare.

    PSNR in dB and SSIM of picture reconstructions, root mean square error in dB of sound
    reconstructions and of sounds made from pictures, and how much the made sounds vary among
    pictures, as a share of how much the true ones do. Besides, on the training split, the median
    distance between the latents of two pictures.
    """
    part = material.split
    train, test = material.rows(part.train), material.rows(part.test)
    seen, pictures = (pictures_to_tensor(material.images[rows]) for rows in (train, test))
    heard, mels = (mels_to_tensor(material.mels[rows]) for rows in (train, test))
    range_db = material.sound_spec.ceiling_db - material.sound_spec.floor_db
    latent = networks.image_vae.encoder(pictures).mean
    rebuilt = networks.image_vae.decoder(latent).clamp(0, 1)
    resounded = networks.sound_vae.decoder(networks.sound_vae.encoder(mels).mean).clamp(0, 1)
    associated = networks.sound_vae.decoder(networks.image_to_sound(latent)).clamp(0, 1)
    by_colour = predict_from_mean_colour(seen, pictures)
    by_components = predict_from_components(seen, pictures, latent.shape[1])
    return {
        "test_segments": float(len(test)),
        "picture_psnr_db": float(psnr_db(rebuilt, pictures).mean()),
        "picture_ssim": float(ssim(rebuilt, pictures).mean()),
        "picture_psnr_db_by_mean_colour": float(psnr_db(by_colour, pictures).mean()),
        "picture_ssim_by_mean_colour": float(ssim(by_colour, pictures).mean()),
        "picture_psnr_db_by_components": float(psnr_db(by_components, pictures).mean()),
        "picture_ssim_by_components": float(ssim(by_components, pictures).mean()),
        "sound_error_db": decibels_off(resounded, mels, range_db),
        "sound_error_db_by_average": decibels_off(heard.mean(0, keepdim=True), mels, range_db),
        "associated_error_db": decibels_off(associated, mels, range_db),
        "associated_variance_share": _variance(associated) / max(_variance(mels), 1e-12),
        PICTURE_DISTANCE: _median_distance(networks, seen),
    }


def _median_distance(networks: Networks, pictures: Tensor) -> float:
    """Median distance between the latents of any two of at most `_COMPARED` pictures."""
    some = pictures[:: max(1, len(pictures) // _COMPARED)]
    return float(torch.pdist(networks.image_vae.encoder(some).mean).median())


def _variance(mels: Tensor) -> float:
    """Variance between mels, averaged over their elements; 0 for one mel."""
    return float(mels.var(0, correction=0).mean())


def representative(latents: npt.NDArray[np.float32], count: int, seed: int) -> list[int]:
    """Indices of up to `count` rows that lie nearest to the centres of as many clusters (k-means).

    Args:
        latents: (n, d).
        count: clusters wanted.
        seed: of the clustering.
    """
    count = min(count, len(latents))
    centres, _ = kmeans2(latents, count, minit="++", rng=np.random.default_rng(seed))
    distances = ((latents[:, None] - centres[None]) ** 2).sum(2)  # (n, count)
    return sorted({int(index) for index in np.nanargmin(distances, axis=0)})
