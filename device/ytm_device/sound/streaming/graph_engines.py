"""Engines of the graph `inverter` that the sound may be streamed by. Loads ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import find_engines
from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import INVERTER
from ytm_device.engines.engine import Engine
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.engines.platform import TENSORRT
from ytm_device.engines.search import Candidate, Search, Wish
from ytm_device.engines.tensorrt import TensorRtEngine
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.tables import StreamTables


class GraphEngines:
    """Those of this machine and bundle."""

    def __init__(self, bundle: Bundle, data: Path, run_dir: Path, wish: Wish) -> None:
        """Begin to find out what this machine is."""
        self._search = Search(bundle, data, wish)
        self._run_dir = run_dir

    def newcomer(self) -> Candidate | None:
        """Engines that are there and were not refused."""
        return self._search.newcomer(None)

    def refuse(self, candidate: Candidate) -> None:
        """Do not find these again until they are built again."""
        self._search.refuse(candidate)

    def load(self, candidate: Candidate, tables: StreamTables) -> GraphStream:
        """Load the graph, if it was measured to be the better way; used in the calling thread.

        Raises:
            DeviceError: the kernel is better, or the engines are damaged or cannot be loaded.
        """
        problems: list[str] = []
        engines = find_engines([candidate.place], candidate.key, problems)
        if engines is None:
            raise DeviceError(problems[0] if problems else f"{candidate.folder}: gone")
        if engines.report.sound is None or not engines.report.sound.graph:
            raise DeviceError("these engines were measured, and the kernel was the better way")
        path = engines.engine_path(INVERTER)
        asked = candidate.asked(self._run_dir, "sound-")
        asked.check()
        with asked.asking():
            is_for_gpu = candidate.key.backend == TENSORRT
            engine: Engine = TensorRtEngine(path) if is_for_gpu else OnnxEngine(path)
        return GraphStream(tables, engine)
