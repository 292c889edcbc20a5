"""Engines that ONNX Runtime makes: its own optimised graphs, for the processor of this machine."""

from __future__ import annotations

from pathlib import Path

from ytm_build.engine.builder import Built
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import EngineKey
from ytm_device.engines.engine import Engine
from ytm_device.engines.onnx import VERSION, OnnxEngine, optimised
from ytm_device.engines.platform import onnx_key


class OnnxBuilder:
    """An `EngineBuilder`."""

    name = f"ONNX Runtime {VERSION}"

    def key(self, bundle: Bundle) -> EngineKey:
        """See `EngineBuilder.key`."""
        return onnx_key(bundle)

    def build(self, graph: Path, cache: bytes) -> Built:
        """See `EngineBuilder.build`."""
        return Built(optimised(graph), cache)

    def load(self, engine: Path) -> Engine:
        """See `EngineBuilder.load`."""
        return OnnxEngine(engine)
