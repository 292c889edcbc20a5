"""The four graphs that answer a picture, together on one backend."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from ytm_bundle.errors import AnswerError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.owner import Owner

ANSWERING: tuple[GraphName, ...] = (
    "image_encoder",
    "image_to_sound",
    "sound_decoder",
    "image_decoder",
)


@dataclass(frozen=True)
class Answer:
    """What a picture is answered with; float32, owned by the caller."""

    latent: Tensor
    """(1, d), of the picture."""
    image: Tensor
    """(1, 3, h, w), about [0, 1]."""
    mel: Tensor
    """(1, n_mels, frames), scaled."""


def check_finite(answer: Answer) -> None:
    """Refuse what can be neither shown nor heard.

    Raises:
        AnswerError: some of it is not finite.
    """
    parts = {
        "image_encoder": answer.latent,
        "sound_decoder": answer.mel,
        "image_decoder": answer.image,
    }
    for name, values in parts.items():
        if not np.isfinite(values).all():
            raise AnswerError(f"{name}: its answer is not finite; it is not shown")


class Mind(Protocol):
    """Made, used and closed in one thread."""

    @property
    def backend(self) -> str:
        """Name and version of what runs it, for the log and the status."""
        ...

    def answer(self, image: Tensor, noise: Tensor) -> Answer:
        """Answer one picture: its own reconstruction, and the sound associated with it.

        What is not finite in the answer is for the caller to find: see `check_finite`.

        Args:
            image: (1, 3, h, w), in [0, 1].
            noise: (1, d), for an associator that takes some.

        Raises:
            DeviceError: a graph cannot be run.
        """
        ...

    def close(self) -> None:
        """Release the graphs."""
        ...


class Graphs(Mind, Protocol):
    """A mind whose graphs can be run one by one, to be tried."""

    def run(self, name: GraphName, **inputs: Tensor) -> Tensor:
        """Run one of the graphs `ANSWERING`, as `Engine.run` does."""
        ...


class OnnxMind(Owner):
    """`Graphs` on ONNX Runtime's CPU provider."""

    def __init__(self, paths: Mapping[GraphName, Path], threads: int = 1) -> None:
        """Load the graphs at `paths`, or engines of them, to be run on `threads` threads each.

        Raises:
            DeviceError: one cannot be loaded.
        """
        self._engines: dict[GraphName, Engine] = {}
        with ExitStack() as stack:
            for name in ANSWERING:
                engine = stack.enter_context(closing(OnnxEngine(paths[name], threads)))
                self._engines[name] = engine
            self._stack = stack.pop_all()
        self.backend = self._engines["image_encoder"].backend

    def close(self) -> None:
        """See `Mind.close`."""
        self._stack.close()

    def run(self, name: GraphName, **inputs: Tensor) -> Tensor:
        """See `Graphs.run`."""
        return self._engines[name].run(**inputs)

    def answer(self, image: Tensor, noise: Tensor) -> Answer:
        """See `Mind.answer`."""
        latent = self.run("image_encoder", image=image)
        offered = {"latent": latent, "image": image, "noise": noise}
        taken = self._engines["image_to_sound"].inputs
        heard = self.run("image_to_sound", **{name: offered[name] for name in taken})
        mel = self.run("sound_decoder", latent=heard)
        return Answer(latent, self.run("image_decoder", latent=latent), mel)
