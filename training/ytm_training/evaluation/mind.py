"""What is measured: a run or a bundle, asked by the same six questions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

import torch

from ytm_bundle.bundle import MelMatrices
from ytm_bundle.errors import EvaluationError
from ytm_bundle.manifest import ImageSpec, SoundSpec
from ytm_training.evaluation.batched import Array, Pictures
from ytm_training.evaluation.bundle_mind import bundle_mind
from ytm_training.evaluation.run_mind import RunMind
from ytm_training.learn.config import SoundSettings
from ytm_training.learn.run import Run


class Mind(Protocol):
    """A trained mirror.

    Pictures are uint8 (n, h, w, 3) RGB, mels float32 (n, n_mels, frames) scaled to [0, 1], latents
    float32 (n, latent_size). Noise has the shape of the latents, and is zero if it is None.
    """

    name: str
    """What it is, for the report."""
    backend: str
    """What computes its answers."""
    image: ImageSpec
    sound: SoundSpec
    listening: SoundSettings
    """How a segment's sound is analysed."""
    latent_size: int
    learned: tuple[str, ...] | None
    """Marks of what it learned from or was chosen by; None: not known."""

    def matrices(self) -> MelMatrices:
        """The filter bank of its mels, and the pseudo-inverse."""
        ...

    def see(self, pictures: Pictures) -> Array:
        """Pictures -> image latents."""
        ...

    def hear(self, mels: Array) -> Array:
        """Mels -> sound latents."""
        ...

    def picture(self, latents: Array) -> Pictures:
        """Image latents -> pictures."""
        ...

    def sound_from(self, latents: Array) -> Array:
        """Sound latents -> mels."""
        ...

    def sound_of(self, latents: Array, noise: Array | None = None) -> Array:
        """Image latents -> sound latents."""
        ...

    def picture_of(self, latents: Array, noise: Array | None = None) -> Array:
        """Sound latents -> image latents."""
        ...


@contextmanager
def open_mind(path: Path, threads: int = 1) -> Iterator[Mind]:
    """The mind of a run's folder or of a bundle (folder or `.ytm`), computing on `threads` threads.

    Raises:
        RunError: the run is not finished, or damaged.
        BundleError: there is neither a run nor a bundle at `path`, or it is damaged.
        EvaluationError: its sound cannot be analysed as it was when it learned.
    """
    torch.set_num_threads(threads)
    with ExitStack() as stack:
        if (path / "config.json").is_file():
            mind: Mind = RunMind(Run(path))
        else:
            mind = stack.enter_context(bundle_mind(path, threads))
        if mind.listening.frames != mind.sound.frames:
            raise EvaluationError(
                f"{path}: sound.frames is {mind.sound.frames}, and no part of a second gives so"
                f" many at hop {mind.sound.hop}; measure another bundle"
            )
        yield mind
