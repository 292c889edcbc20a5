"""One camera picture in, the picture and the sound that the mirror answers out."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_device.engines.engine import Tensor
from ytm_device.engines.mind import ANSWERING, Mind, OnnxMind, check_finite
from ytm_device.frame import Frame, Reflection
from ytm_device.owner import Owner
from ytm_device.reflecting.movement import Movement


def encoder_input(pixels: npt.NDArray[np.uint8]) -> Tensor:
    """uint8 (h, w, 3) RGB -> float32 (1, 3, h, w) in [0, 1]."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.float32)
    return np.asarray(planes[None] / np.float32(255))


def picture(image: Tensor) -> npt.NDArray[np.uint8]:
    """float32 (1, 3, h, w) in [0, 1] -> uint8 (h, w, 3) RGB, rounded to nearest."""
    levels = np.rint(np.clip(image[0], 0, 1) * 255).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


class Reflector(Owner):
    """Answers pictures by a mind. Made, used and closed in one thread."""

    def __init__(self, bundle: Bundle, mind: Mind | None = None) -> None:
        """Answer as `bundle` says.

        Args:
            bundle: what it plays.
            mind: runs its graphs, and is closed with this; without one, ONNX Runtime does.

        Raises:
            DeviceError: a graph cannot be loaded.
        """
        self._bundle_id = bundle.id
        self._noise = np.zeros((1, bundle.manifest.latent_size), np.float32)
        self._movement = Movement(bundle.manifest.sudden_change)
        self._mind = mind or OnnxMind({name: bundle.graph_path(name) for name in ANSWERING})

    def close(self) -> None:
        """Release the graphs."""
        self._mind.close()

    @property
    def backend(self) -> str:
        """What runs the graphs, for the log and the status."""
        return self._mind.backend

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
        answer = self._mind.answer(encoder_input(frame.pixels), self._noise)
        check_finite(answer)
        return Reflection(
            image=picture(answer.image),
            mel=np.clip(answer.mel[0], 0, 1),
            presence=presence,
            presence_since_ns=since_ns,
            taken_ns=frame.taken_ns,
            sequence=frame.sequence,
            bundle_id=self._bundle_id,
            moved_ns=self._movement.moved_ns(answer.latent[0], frame.taken_ns),
        )
