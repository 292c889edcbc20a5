"""All that the figures are computed from: the rows, and what the mind makes of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_training.evaluation.folds import Folds
from ytm_training.evaluation.intervals import Resampling
from ytm_training.evaluation.mind import Mind
from ytm_training.evaluation.rows import Pool, Rows

Array = npt.NDArray[np.float32]
Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """What a mind makes of m rows of a pool, n of which are measured."""

    seen: Array
    """(m, d) image latents of all rows."""
    heard: Array
    """(m, d) sound latents of all rows."""
    rebuilt_pictures: Pictures
    """(n, h, w, 3) the pictures as it remembers them."""
    rebuilt_mels: Array
    """(n, n_mels, frames) the sounds as it remembers them."""
    imagined_sounds: Array
    """(n, d) sound latents, from the pictures."""
    made_mels: Array
    """(n, n_mels, frames) the sounds that it gives the pictures."""
    imagined_pictures: Array
    """(n, d) image latents, from the sounds."""
    made_pictures: Pictures
    """(n, h, w, 3) the pictures that it gives the sounds."""


@dataclass(frozen=True)
class Evidence:
    """What is measured, on what, and what came of it."""

    mind: Mind
    pool: Pool
    folds: Folds
    answers: Answers
    seed: int

    @property
    def true(self) -> Rows:
        """The n rows that are measured."""
        return self.pool.rows.take(self.pool.unseen)

    @property
    def reference(self) -> Rows:
        """What averages are taken of: the known rows, or else those measured."""
        known = self.pool.known
        return self.pool.rows.take(known if len(known) else self.pool.unseen)

    @property
    def range_db(self) -> float:
        """What a scaled mel's 0 to 1 stands for."""
        return self.mind.sound.ceiling_db - self.mind.sound.floor_db

    def resampling(self) -> Resampling:
        """Draws of the rows that are measured."""
        return Resampling(self.pool.rows.sources[self.pool.unseen], self.seed)


def gather(mind: Mind, pool: Pool, seed: int) -> Evidence:
    """Ask `mind` everything."""
    seen, heard = mind.see(pool.rows.images), mind.hear(pool.rows.mels)
    sounds, pictures = mind.sound_of(seen[pool.unseen]), mind.picture_of(heard[pool.unseen])
    answers = Answers(
        seen=seen,
        heard=heard,
        rebuilt_pictures=mind.picture(seen[pool.unseen]),
        rebuilt_mels=mind.sound_from(heard[pool.unseen]),
        imagined_sounds=sounds,
        made_mels=mind.sound_from(sounds),
        imagined_pictures=pictures,
        made_pictures=mind.picture(pictures),
    )
    return Evidence(mind, pool, Folds.of(pool, seed), answers, seed)
