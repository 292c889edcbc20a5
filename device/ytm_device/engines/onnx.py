"""Graphs run by ONNX Runtime on the CPU: the workstation's engine, and the board's last resort."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ytm_bundle.errors import DeviceError
from ytm_device.engines.engine import Tensor

# Wheels for Linux can report their use to their maker; nothing leaves this machine. Read at import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as failures

onnxruntime.disable_telemetry_events()

_FAILURES = (
    ValueError,
    RuntimeError,
    failures.EPFail,
    failures.Fail,
    failures.InvalidArgument,
    failures.InvalidGraph,
    failures.InvalidProtobuf,
    failures.NoModel,
    failures.NoSuchFile,
    failures.NotImplemented,
    failures.RuntimeException,
)
"""What ONNX Runtime raises; its own kinds have no base but Exception."""


VERSION = str(onnxruntime.__version__)
OPTIMISING = {"optimisation": "all", "format": "onnx"}
"""How `optimised` makes an engine."""


class OnnxEngine:
    """An `Engine` on ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the graph at `path`, to be run on `threads` threads.

        Args:
            path: a graph, or an engine that `optimised` made of one.
            threads: at least 1.

        Raises:
            DeviceError: ONNX Runtime refuses the file.
        """
        self.backend = f"ONNX Runtime {VERSION} (CPU)"
        self._name = path.name
        self._session = _session(path, _options(threads))
        self.inputs = tuple(each.name for each in self._session.get_inputs())
        self._outputs = tuple(each.name for each in self._session.get_outputs())

    def run(self, **inputs: Tensor) -> Tensor:
        """See `Engine.run`."""
        (output,) = self.run_all(**inputs).values()
        return output

    def run_all(self, **inputs: Tensor) -> dict[str, Tensor]:
        """See `Engine.run_all`."""
        try:
            outputs = self._session.run(None, inputs)
        except _FAILURES as error:
            raise DeviceError(f"{self._name}: ONNX Runtime failed ({error})") from error
        return dict(zip(self._outputs, outputs, strict=True))

    def close(self) -> None:
        """See `Engine.close`."""
        del self._session


def optimised(graph: Path) -> bytes:
    """The graph at `graph` as ONNX Runtime runs it on this machine: an engine for `OnnxEngine`.

    Raises:
        DeviceError: ONNX Runtime refuses the file.
    """
    with tempfile.TemporaryDirectory(prefix="ytm-engine-") as folder:
        made = Path(folder) / graph.name
        options = _options(threads=1)
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.optimized_model_filepath = str(made)
        _session(graph, options)
        return made.read_bytes()


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return options


def _session(path: Path, options: onnxruntime.SessionOptions) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except _FAILURES as error:
        raise DeviceError(f"{path}: ONNX Runtime cannot load this graph ({error})") from error
