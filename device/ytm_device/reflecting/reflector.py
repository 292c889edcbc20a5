"""One camera picture in, the picture and the sound that the mirror answers out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_bundle.errors import AnswerError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.frame import Frame, Reflection
from ytm_device.owner import Owner
from ytm_device.reflecting.movement import Movement

_GRAPHS: tuple[GraphName, ...] = (
    "image_encoder",
    "image_decoder",
    "image_to_sound",
    "sound_decoder",
)


def encoder_input(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (h, w, 3) RGB -> float32 (1, 3, h, w) in [0, 1]."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    return np.asarray(planes[None] / np.float32(255))


def picture(image: Tensor) -> npt.NDArray[np.uint8]:
    """float32 (1, 3, h, w) in [0, 1] -> uint8 (h, w, 3) RGB, rounded to nearest."""
    levels = np.rint(np.clip(image[0], 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


class Reflector(Owner):
    """The four graphs that answer a picture. Made, used and closed in one thread."""

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        """Load the graphs of `bundle`, each to be run on `threads` threads.

        Raises:
            DeviceError: a graph cannot be loaded.
        """
        self._bundle_id = bundle.id
        self._inputs = {tensor.name for tensor in bundle.manifest.graphs["image_to_sound"].inputs}
        self._noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
        self._engines: dict[GraphName, Engine] = {
            name: OnnxEngine(bundle.graph_path(name), threads) for name in _GRAPHS
        }
        self._movement = Movement(bundle.manifest.sudden_change)

    def close(self) -> None:
        """Release the graphs."""
        for engine in self._engines.values():
            engine.close()

    @property
    def backend(self) -> str:
        """What runs the graphs, for the log and the status."""
        return self._engines["image_encoder"].backend

    def reflect(self, frame: Frame, presence: bool = True, since_ns: int = 0) -> Reflection:
        """Answer `frame`, whose picture has the size that the manifest says.

        The picture in the mirror is what the picture autoencoder makes of the visitor; the sound is
        what the associator hears in it.

        Args:
            frame: the picture.
            presence: somebody is there.
            since_ns: since when, or since when not; as it is, for ever.

        Raises:
            AnswerError: an answer is not finite.
            DeviceError: a graph cannot be run.
        """
        image = encoder_input(frame.pixels)
        latent = self._engines["image_encoder"].run(image=image)
        offered = {"latent": latent, "image": image, "noise": self._noise}
        wanted = {name: offered[name] for name in self._inputs}
        sound = self._engines["image_to_sound"].run(**wanted)
        answer = {
            "sound_decoder": self._engines["sound_decoder"].run(latent=sound),
            "image_decoder": self._engines["image_decoder"].run(latent=latent),
        }
        for name, values in answer.items():
            if not np.isfinite(values).all():
                raise AnswerError(f"{name}: its answer is not finite; it is not shown")
        return Reflection(
            image=picture(answer["image_decoder"]),
            mel=np.clip(answer["sound_decoder"][0], 0, 1),
            presence=presence,
            presence_since_ns=since_ns,
            taken_ns=frame.taken_ns,
            sequence=frame.sequence,
            bundle_id=self._bundle_id,
            moved_ns=self._movement.moved_ns(latent[0].copy(), frame.taken_ns),
        )
