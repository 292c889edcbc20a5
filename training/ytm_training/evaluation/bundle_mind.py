"""A bundle as a mind: its graphs, in ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import numpy as np
import torch

from ytm_bundle.bundle import Bundle, MelMatrices, open_bundle
from ytm_bundle.errors import EvaluationError
from ytm_bundle.manifest import GRAPH_NAMES, GraphName
from ytm_device.engines.engine import Engine
from ytm_device.engines.onnx import OnnxEngine
from ytm_training.evaluation.batched import Array, Pictures, batched
from ytm_training.learn.hearing import sound_settings
from ytm_training.learn.tensors import pictures_to_tensor, tensor_to_pictures


class BundleMind:
    """The graphs of a bundle, in ONNX Runtime. Its engines belong to who made them."""

    def __init__(self, bundle: Bundle, engines: dict[GraphName, Engine]) -> None:
        """Answer by `engines`, those of the graphs of `bundle`."""
        manifest = bundle.manifest
        self._bundle, self._engines = bundle, engines
        self._inputs = {
            name: {tensor.name for tensor in graph.inputs}
            for name, graph in manifest.graphs.items()
        }
        self.name = f"bundle {manifest.name} {bundle.id[:12]}"
        self.backend = engines["image_encoder"].backend
        self.image, self.sound = manifest.image, manifest.sound
        self.listening = sound_settings(manifest.sound)
        self.latent_size = manifest.latent_size
        self.learned: tuple[str, ...] | None = manifest.learned or None

    def matrices(self) -> MelMatrices:
        """See `Mind.matrices`."""
        return self._bundle.mel_matrices()

    def see(self, pictures: Pictures) -> Array:
        """See `Mind.see`."""
        engine = self._engines["image_encoder"]
        return batched(
            lambda part: engine.run(image=pictures_to_tensor(part).contiguous().numpy()), pictures
        )

    def hear(self, mels: Array) -> Array:
        """See `Mind.hear`."""
        return batched(lambda part: self._engines["sound_encoder"].run(mel=part), mels)

    def picture(self, latents: Array) -> Pictures:
        """See `Mind.picture`."""
        engine = self._engines["image_decoder"]
        return batched(
            lambda part: tensor_to_pictures(torch.from_numpy(engine.run(latent=part))), latents
        )

    def sound_from(self, latents: Array) -> Array:
        """See `Mind.sound_from`."""
        engine = self._engines["sound_decoder"]
        return batched(lambda part: np.clip(engine.run(latent=part), 0, 1), latents)

    def sound_of(self, latents: Array, noise: Array | None = None) -> Array:
        """See `Mind.sound_of`."""
        return self._associated("image_to_sound", latents, noise)

    def picture_of(self, latents: Array, noise: Array | None = None) -> Array:
        """See `Mind.picture_of`."""
        return self._associated("sound_to_image", latents, noise)

    def _associated(self, name: GraphName, latents: Array, noise: Array | None) -> Array:
        offered = {"latent": latents, "noise": np.zeros_like(latents) if noise is None else noise}
        missing = self._inputs[name] - offered.keys()
        if missing:
            raise EvaluationError(
                f"{self._bundle.folder}: graphs.{name} takes {', '.join(sorted(missing))}, which"
                " cannot be measured; only associators of latents and noise can"
            )
        return self._engines[name].run(
            **{key: value for key, value in offered.items() if key in self._inputs[name]}
        )


@contextmanager
def bundle_mind(path: Path, threads: int = 1) -> Iterator[BundleMind]:
    """The mind of a bundle, folder or `.ytm`.

    Raises:
        BundleError: it is missing or damaged.
    """
    with open_bundle(path) as bundle, ExitStack() as stack:
        engines: dict[GraphName, Engine] = {
            name: stack.enter_context(closing(OnnxEngine(bundle.graph_path(name), threads)))
            for name in GRAPH_NAMES
        }
        yield BundleMind(bundle, engines)
