"""What makes engines of graphs, whatever runs them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import EngineKey
from ytm_device.engines.engine import Engine


@dataclass(frozen=True)
class Built:
    """An engine, and what was measured while it was built."""

    engine: bytes
    cache: bytes
    """What makes the next build faster on the same machine; empty where there is no such thing."""


class EngineBuilder(Protocol):
    """Builds and loads in one thread."""

    name: str
    """Of what builds, with its version."""

    def key(self, bundle: Bundle) -> EngineKey:
        """What engines of the graphs of `bundle` depend on, on this machine.

        Raises:
            DeviceError: they cannot be built on this machine.
        """
        ...

    def build(self, graph: Path, cache: bytes) -> Built:
        """Build the engine of an ONNX file.

        Args:
            graph: the file.
            cache: of an earlier build on this machine, or empty.

        Raises:
            EngineError: the graph is refused, or there is not enough memory.
            DeviceError: what builds fails.
        """
        ...

    def load(self, engine: Path) -> Engine:
        """Load what `build` made; the caller closes it.

        Raises:
            DeviceError: it cannot be loaded.
        """
        ...
