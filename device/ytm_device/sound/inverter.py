"""What every way of making sound from mel spectrograms can do."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]


class Inverter(Protocol):
    """Makes an endless sound, a chunk at a time, from whichever mel is the newest."""

    chunk: int
    """Samples in a chunk; a newer mel is heard from the next chunk on."""
    delay: int
    """Samples from the start of a chunk to the middle of the newest mel frame heard in it."""

    def invert(self, power: Array) -> Array:
        """Make the next chunk.

        Args:
            power: float32 (n_mels, frames), mel power, >= 0, finite: the newest mel, the same
                object until there is a newer one. The inverter keeps its own place in it.

        Returns:
            float32 (chunk,), unlimited; owned by the caller.
        """
        ...
