"""Graphs run by ONNX Runtime on the CPU: the workstation's engine, and the board's last resort."""

from __future__ import annotations

import os
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


class OnnxEngine:
    """An `Engine` on ONNX Runtime's CPU provider."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load the graph at `path`, to be run on `threads` threads.

        Raises:
            DeviceError: ONNX Runtime refuses the file.
        """
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self.backend = f"ONNX Runtime {onnxruntime.__version__} (CPU)"
        self._name = path.name
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except _FAILURES as error:
            raise DeviceError(f"{path}: ONNX Runtime cannot load this graph ({error})") from error

    def run(self, **inputs: Tensor) -> Tensor:
        """See `Engine.run`."""
        try:
            (output,) = self._session.run(None, inputs)
        except _FAILURES as error:
            raise DeviceError(f"{self._name}: ONNX Runtime failed ({error})") from error
        return output  # type: ignore[no-any-return]

    def close(self) -> None:
        """See `Engine.close`."""
        del self._session
