"""A picture from the camera, and what the mirror answers to it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class Frame:
    """One camera picture."""

    pixels: npt.NDArray[np.uint8]
    """uint8 (height, width, 3), RGB, as the camera saw it: not flipped."""
    taken_ns: int
    """When it was taken, on CLOCK_MONOTONIC, in nanoseconds."""
    sequence: int
    """Counts from 0; a gap is a dropped frame."""
    source: str
    """Which camera, for the log and the status."""


@dataclass(frozen=True)
class Reflection:
    """The mirror's answer to one frame."""

    image: npt.NDArray[np.uint8]
    """uint8 (h, w, 3), RGB, at the model's size, not flipped (the screen flips it, once)."""
    mel: npt.NDArray[np.float32]
    """float32 (n_mels, frames), scaled as the manifest says, in [0, 1]."""
    presence: bool
    """Somebody is there."""
    presence_since_ns: int
    """Since when `presence` has had its value, on CLOCK_MONOTONIC."""
    taken_ns: int
    """`Frame.taken_ns` of the frame answered."""
    sequence: int
    """`Frame.sequence` of the frame answered."""
    bundle_id: str
    """Identity of the bundle that answered, in hexadecimal."""
    moved_ns: int = 0
    """`taken_ns` of the last frame that was suddenly another; 0 if there was none."""
