"""A bundle asked as the mirror asks it, and the other way round: what it pictures from a sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Engine
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.frame import Frame
from ytm_device.owner import Owner
from ytm_device.reflecting.reflector import Reflector, picture

Pixels = npt.NDArray[np.uint8]
Array = npt.NDArray[np.float32]

_GRAPHS: tuple[GraphName, ...] = (
    "sound_encoder",
    "sound_decoder",
    "sound_to_image",
    "image_decoder",
)
# So far apart that no picture is a sudden change of the one before.
_APART_NS = 10_000_000_000


@dataclass(frozen=True)
class Answer:
    """What the mirror shows and plays for one picture."""

    picture: Pixels
    """uint8 (h, w, 3) RGB."""
    mel: Array
    """float32 (n_mels, frames), scaled to [0, 1]."""


class Asked(Owner):
    """All graphs of a bundle. Made, used and closed in one thread."""

    def __init__(self, bundle: Bundle) -> None:
        """Load the graphs of `bundle`.

        Raises:
            DeviceError: one cannot be loaded.
        """
        self._inputs = {tensor.name for tensor in bundle.manifest.graphs["sound_to_image"].inputs}
        self._noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
        self._reflector = Reflector(bundle)
        self._engines: dict[GraphName, Engine] = {
            name: OnnxEngine(bundle.graph_path(name)) for name in _GRAPHS
        }
        self._asked = 0

    def close(self) -> None:
        """See `Owner.close`."""
        self._reflector.close()
        for engine in self._engines.values():
            engine.close()

    def answer(self, pixels: Pixels) -> Answer:
        """Answer a picture, uint8 (h, w, 3) RGB of the bundle's size."""
        frame = Frame(pixels, self._asked * _APART_NS, self._asked, "picture")
        self._asked += 1
        reflection = self._reflector.reflect(frame)
        return Answer(reflection.image, reflection.mel)

    def remember(self, mel: Array) -> Array:
        """A scaled mel, float32 (n_mels, frames), by way of its latent."""
        latent = self._engines["sound_encoder"].run(mel=mel[None])
        mel = self._engines["sound_decoder"].run(latent=latent)[0]
        return np.asarray(np.clip(mel, 0, 1), np.float32)

    def imagine(self, mel: Array) -> Pixels:
        """The picture that belongs to a scaled mel, float32 (n_mels, frames): uint8 (h, w, 3)."""
        latent = self._engines["sound_encoder"].run(mel=mel[None])
        offered = {"latent": latent, "mel": mel[None], "noise": self._noise}
        wanted = {name: offered[name] for name in self._inputs}
        pictured = self._engines["sound_to_image"].run(**wanted)
        return picture(self._engines["image_decoder"].run(latent=pictured))
