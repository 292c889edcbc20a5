"""Minds whose figures are known: one that answers everything right, and one that never differs."""

from __future__ import annotations

import numpy as np

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.manifest import GrainInversion, ImageSpec, SoundSpec
from ytm_training.evaluation.baselines import nearest
from ytm_training.evaluation.features import thumbnails
from ytm_training.evaluation.rows import Pool, Rows
from ytm_training.learn.hearing import sound_settings
from ytm_training.learn.showing import mel_matrices

IMAGE = ImageSpec(width=32, height=32, fit="crop")
SOUND = SoundSpec(
    analysis_rate_hz=48000,
    playback_rate_hz=48000,
    n_fft=1024,
    hop=512,
    n_mels=16,
    frames=10,
    floor_db=-60,
    ceiling_db=20,
    loudness_lufs=-23,
    seconds=0.1,
    inversion=GrainInversion(frames=5, iterations=2),
)
CLASSES = ("low", "middle", "high")


def small_pool(known: int, unseen: int, per_source: int = 3) -> Pool:
    """Rows whose class decides colour and band, each row a little different."""
    rng = np.random.default_rng(0)
    count = known + unseen
    category = np.arange(count) // per_source % len(CLASSES)
    blocks = rng.integers(0, 75, (count, 4, 4, 3), np.uint8)
    images = blocks.repeat(8, axis=1).repeat(8, axis=2)
    images[np.arange(count), 8:24, 8:24, category] += 180
    mels = 0.3 * rng.random((count, *SOUND.mel_shape), np.float32)
    mels[np.arange(count), 4 * category + 2] += 0.5
    mels *= (0.7 + 0.3 * rng.random((count, 1, 1))).astype(np.float32)
    rows = Rows(
        images=images,
        mels=mels.astype(np.float32),
        sources=np.array([f"video{row // per_source:03d}" for row in range(count)], object),
        categories=np.array([CLASSES[each] for each in category], object),
        segment_ids=np.array(
            [f"video{row // per_source:03d}@{row}" for row in range(count)], object
        ),
    )
    return Pool(rows, np.arange(known), np.arange(known, count), refused=known, found=unseen)


class PerfectMind:
    """Knows every row by heart, whatever the camera adds to it."""

    name, backend = "perfect", "memory"
    image, sound = IMAGE, SOUND
    listening = sound_settings(SOUND)
    latent_size = 48
    learned: tuple[str, ...] | None = ("0" * 16,)

    def __init__(self, pool: Pool) -> None:
        self._images, self._mels = pool.rows.images, pool.rows.mels
        self._seen = thumbnails(self._images, 4)
        self._heard = self._mels.mean(2) @ np.eye(16, 48, dtype=np.float32)
        self._heard[:, 16:] = self._mels[:, :, :2].reshape(len(self._mels), -1)

    def matrices(self) -> MelMatrices:
        return mel_matrices(self.sound)

    def see(self, pictures):
        return thumbnails(pictures, 4)

    def hear(self, mels):
        return self._heard[
            nearest(self._mels.reshape(len(self._mels), -1), mels.reshape(len(mels), -1))
        ]

    def picture(self, latents):
        return self._images[nearest(self._seen, latents)]

    def sound_from(self, latents):
        return self._mels[nearest(self._heard, latents)]

    def sound_of(self, latents, noise=None):
        return self._heard[nearest(self._seen, latents)]

    def picture_of(self, latents, noise=None):
        return self._seen[nearest(self._heard, latents)]


class AverageMind(PerfectMind):
    """Gives every picture the average sound, and every sound the average picture."""

    name = "average"

    def sound_from(self, latents):
        return np.where(
            (latents == latents[0]).all(),
            np.broadcast_to(self._mels.mean(0), (len(latents), *self._mels.shape[1:])),
            super().sound_from(latents),
        )

    def sound_of(self, latents, noise=None):
        return np.repeat(self._heard.mean(0, keepdims=True), len(latents), 0)

    def picture_of(self, latents, noise=None):
        return np.repeat(self._seen.mean(0, keepdims=True), len(latents), 0)
