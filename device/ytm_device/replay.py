"""What to show and play: the newest reflection, or a still of the replay when there is none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ytm_bundle.bundle import Bundle
from ytm_device.frame import Reflection

STALE_AFTER_S = 2.0
"""So long after the last reflection arrived, the replay takes over."""

_NS_PER_S = 1_000_000_000


def still_at(now_ns: int, order: Sequence[int], dwell_s: float) -> int:
    """Which still of the replay is on at a time, the same in every process.

    Args:
        now_ns: CLOCK_MONOTONIC, in nanoseconds.
        order: the manifest's order of the stills, at least one.
        dwell_s: seconds that each still stays, > 0.

    Returns:
        An entry of `order`.
    """
    return order[now_ns // round(dwell_s * _NS_PER_S) % len(order)]


@dataclass(frozen=True, eq=False)
class Answer:
    """A picture and its sound, from mirror or replay; the same object while it is on."""

    image: npt.NDArray[np.uint8]
    """uint8 (h, w, 3), RGB, not flipped."""
    mel: npt.NDArray[np.float32]
    """float32 (n_mels, frames), scaled as the manifest says."""
    taken_ns: int | None
    """When the frame answered was taken, on CLOCK_MONOTONIC; None for the replay."""
    moved_ns: int = 0
    """When the picture last changed suddenly; 0 for the replay."""


class Programme:
    """Chooses between mirror and replay as reflections arrive or fail to."""

    def __init__(self, bundle: Bundle) -> None:
        """Read the replay of `bundle`, whose reflections alone will be chosen."""
        self.foreign = 0
        """Reflections ignored because another bundle made them, or one of other sizes."""
        replay = bundle.replay()
        self._stills = [
            Answer(image, mel, None)
            for image, mel in zip(replay.reconstructions, replay.mels, strict=True)
        ]
        manifest = bundle.manifest
        self._bundle_id, self._spec = bundle.id, manifest.replay
        self._image_shape = (manifest.image.height, manifest.image.width, 3)
        self._mel_shape = manifest.sound.mel_shape
        self._newest: Answer | None = None
        self._arrived_ns = 0

    def at(self, now_ns: int, arrived: Reflection | None) -> Answer:
        """Choose what is on.

        Args:
            now_ns: CLOCK_MONOTONIC, in nanoseconds, never before an earlier call's.
            arrived: the reflection that came in since the last call, if any did.
        """
        if arrived is not None:
            if self._fits(arrived):
                self._newest = Answer(
                    arrived.image, arrived.mel, arrived.taken_ns, arrived.moved_ns
                )
                self._arrived_ns = now_ns
            else:
                self.foreign += 1
        if now_ns - self._arrived_ns > STALE_AFTER_S * _NS_PER_S:
            self._newest = None
        if self._newest is None:
            return self._stills[still_at(now_ns, self._spec.order, self._spec.dwell_s)]
        return self._newest

    def _fits(self, reflection: Reflection) -> bool:
        return (
            reflection.bundle_id == self._bundle_id
            and reflection.image.shape == self._image_shape
            and reflection.mel.shape == self._mel_shape
        )
