"""What every inference engine can do, whatever runs it."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

Tensor = npt.NDArray[np.float32]


class Engine(Protocol):
    """One graph of a bundle, ready to run. Made, used and closed in one thread."""

    backend: str
    """Name and version of what runs it, for the log and the status."""
    inputs: tuple[str, ...]
    """Names of what it takes, as in the manifest."""

    def run(self, **inputs: Tensor) -> Tensor:
        """Run once on inputs named as in the manifest, float32, batch first.

        Returns:
            The graph's one output, float32, batch first; owned by the caller.

        Raises:
            DeviceError: the graph cannot be run, or an input has the wrong name or shape.
        """
        ...

    def run_all(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Run once, like `run`, a graph that may have several outputs.

        Returns:
            Each output under its name in the graph's file.
        """
        ...

    def close(self) -> None:
        """Release what the engine holds."""
        ...
