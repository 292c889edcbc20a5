"""What every way of making sound from mel spectrograms can do."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from ytm_device.sound.gesture import Gesture

Array = npt.NDArray[np.float32]


class Inverter(Protocol):
    """Makes an endless sound, a chunk at a time, from whichever gesture is the newest."""

    chunk: int
    """Samples in a chunk; a newer gesture is heard from the next chunk on."""
    delay: int
    """Samples from the start of a chunk to the middle of the newest mel frame heard in it."""

    def invert(self, gesture: Gesture, out: Array, *, strike: bool) -> Gesture:
        """Make the next chunk.

        Args:
            gesture: the newest, the same object until there is a newer one. The inverter keeps its
                own place in it.
            out: float32 (chunk,), is overwritten; unlimited.
            strike: begin the gesture anew, at its onset, if that can be done.

        Returns:
            What the chunk follows: `gesture`, or the one before while another fades in.
        """
        ...

    def restart(self) -> None:
        """Begin in silence again, as when it was made."""
        ...
