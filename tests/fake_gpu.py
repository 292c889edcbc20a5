"""A GPU that is none: what PyCUDA and TensorRT would give, and a record of what was asked of it.

It does nothing before it is waited for, as late as a real one may. An "engine" is a file that names
an ONNX graph, which ONNX Runtime runs on what lies in the fake's memory. Not a line of NVIDIA's is
in it: it shows our side of the interface alone.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest

from ytm_bundle.bundle import Bundle
from ytm_device.engines import cuda_graph
from ytm_device.engines.onnx import OnnxEngine

STREAM = 4711
FLOAT, HALF = "float32", "float16"
FIRST_ADDRESS, ALIGNMENT = 0x10000, 256


class Error(Exception):
    """PyCUDA's."""


class OutOfMemoryError(Error):
    """PyCUDA's MemoryError."""


@dataclass
class FakeGpu:
    """One GPU."""

    memory_bytes: int = 1 << 30
    faults: set[str] = field(default_factory=set)
    """`null engine`, `null context`, `half`, `address`, `shape`, `surprise`, `refuses`, `copy`,
    `wait`, `free`, `capture`, `instantiate`."""
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    """In order: what was asked, with name or address."""
    memories: dict[int, np.ndarray] = field(default_factory=dict)
    """Address -> float32, flat."""
    sizes: list[int] = field(default_factory=list)
    """Bytes of every allocation."""
    threads: set[int] = field(default_factory=set)
    """That used it."""
    current: int = 0
    """Contexts that are current."""
    contexts: int = 0
    """Contexts of engines that are not released."""
    _queue: list[Callable[[], None]] = field(default_factory=list)

    def ask(self, what: str, about: object, do: Callable[[], None]) -> None:
        assert self.current == 1, "no context is current"
        self.threads.add(threading.get_ident())
        self.asked.append((what, about))
        self._queue.append(do)

    def wait(self) -> None:
        self.asked.append(("wait",))
        if "wait" in self.faults:
            self._queue.clear()
            raise Error("cuStreamSynchronize failed: an illegal memory access")
        queue, self._queue = self._queue, []
        for do in queue:
            do()

    def allocate(self, size_bytes: int) -> int:
        assert self.current == 1, "no context is current"
        if sum(self.sizes) + size_bytes > self.memory_bytes:
            raise OutOfMemoryError("cuMemAlloc failed: out of memory")
        address = FIRST_ADDRESS + ALIGNMENT * sum(-(-size // ALIGNMENT) for size in self.sizes)
        self.sizes.append(size_bytes)
        self.memories[address] = np.full(size_bytes // 4, np.nan, np.float32)
        return address

    def take_recording(self) -> list[Callable[[], None]]:
        """What was asked since nothing was."""
        queue, self._queue = self._queue, []
        return queue

    def driver(self) -> ModuleType:
        """`pycuda.driver`."""
        module = ModuleType("pycuda.driver")
        context = SimpleNamespace(push=self._push, pop=self._pop, detach=lambda: None)
        device = SimpleNamespace(
            name=lambda: "Fake GPU",
            compute_capability=lambda: (8, 7),
            retain_primary_context=lambda: context,
        )
        stream = SimpleNamespace(handle=STREAM, synchronize=self.wait)
        named = {
            "init": lambda: None,
            "Device": lambda number: device,
            "get_version": lambda: (12, 6, 0),
            "Stream": lambda: stream,
            "mem_alloc": lambda size: _Memory(self, self.allocate(size)),
            "pagelocked_empty": lambda shape, dtype: np.empty(shape, dtype),
            "memcpy_htod_async": self._htod,
            "memcpy_dtoh_async": self._dtoh,
            "Error": Error,
            "MemoryError": OutOfMemoryError,
        }
        module.__dict__.update(named)
        return module

    def _push(self) -> None:
        self.current += 1

    def _pop(self) -> None:
        assert not self.memories, "memory is left"
        assert not self.contexts, "an engine is left"
        self.current -= 1

    def _htod(self, address: int, host: np.ndarray, stream: object) -> None:
        assert host.nbytes == self.memories[address].nbytes, "not the whole buffer"
        if "copy" in self.faults:
            raise Error("cuMemcpyHtoDAsync failed")
        self.ask("upload", address, lambda: np.copyto(self.memories[address], host.ravel()))

    def _dtoh(self, host: np.ndarray, address: int, stream: object) -> None:
        assert host.nbytes == self.memories[address].nbytes, "not the whole buffer"
        self.ask(
            "download",
            address,
            lambda: np.copyto(host, self.memories[address].reshape(host.shape)),
        )

    def tensorrt(self) -> ModuleType:
        """`tensorrt`."""
        module = ModuleType("tensorrt")
        named = {
            "__version__": "10.3.0.30",
            "Logger": type("Logger", (), {"WARNING": 2, "__init__": lambda self, level: None}),
            "Runtime": lambda logger: SimpleNamespace(deserialize_cuda_engine=self._engine),
            "TensorIOMode": SimpleNamespace(INPUT="in", OUTPUT="out"),
            "DataType": SimpleNamespace(FLOAT=FLOAT),
        }
        module.__dict__.update(named)
        return module

    def _engine(self, data: bytes) -> _FakeEngine | None:
        if "null engine" in self.faults or not data.startswith(b"/"):
            return None
        return _FakeEngine(self, Path(data.decode()))

    def library(self) -> object:
        """What `libcuda.so.1` offers to record."""
        recording: list[Callable[[], None]] = []

        def end(stream: Any, graph: Any) -> int:
            recording[:] = self.take_recording()
            self.asked.append(("recorded",))
            graph._obj.value = 1
            return 0

        def instantiate(ready: Any, graph: Any, flags: Any) -> int:
            ready._obj.value = 2
            return 801 if "instantiate" in self.faults else 0

        def launch(ready: Any, stream: Any) -> int:
            assert (ready.value, stream.value) == (2, STREAM)
            self.ask("replay", None, lambda: [do() for do in recording] and None)
            return 0

        def release(handle: Any) -> int:
            recording.clear()
            self.asked.append(("release", handle.value))
            return 0

        return SimpleNamespace(
            cuStreamBeginCapture_v2=lambda stream, mode: 901 * ("capture" in self.faults),
            cuStreamEndCapture=end,
            cuGraphInstantiateWithFlags=instantiate,
            cuGraphLaunch=launch,
            cuGraphExecDestroy=release,
            cuGraphDestroy=release,
        )


class _Memory:
    def __init__(self, gpu: FakeGpu, address: int) -> None:
        self._gpu, self._address = gpu, address

    def __int__(self) -> int:
        return self._address

    def free(self) -> None:
        del self._gpu.memories[self._address]
        if "free" in self._gpu.faults:
            self._gpu.memories.clear()
            raise Error("cuMemFree failed: an illegal memory access")


class _FakeEngine:
    def __init__(self, gpu: FakeGpu, graph: Path) -> None:
        self.gpu, self.graph = gpu, graph
        session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
        self.inputs = {each.name: each.shape for each in session.get_inputs()}
        self.outputs = {each.name: each.shape for each in session.get_outputs()}
        self.num_io_tensors = len(self.inputs) + len(self.outputs)

    def get_tensor_name(self, index: int) -> str:
        return [*self.inputs, *self.outputs][index]

    def get_tensor_mode(self, name: str) -> str:
        if "surprise" in self.gpu.faults:
            raise TypeError("incompatible function arguments")
        return "in" if name in self.inputs else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return HALF if "half" in self.gpu.faults and name in self.outputs else FLOAT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        shape = (self.inputs | self.outputs)[name]
        return tuple(size if isinstance(size, int) else -1 for size in shape)

    def create_execution_context(self) -> _FakeContext | None:
        return None if "null context" in self.gpu.faults else _FakeContext(self)


class _FakeContext:
    def __init__(self, engine: _FakeEngine) -> None:
        self.engine, self.gpu = engine, engine.gpu
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.addresses: dict[str, int] = {}
        self.gpu.contexts += 1

    def __del__(self) -> None:
        self.gpu.contexts -= 1

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        assert name in self.engine.inputs
        self.shapes[name] = shape
        return "shape" not in self.gpu.faults

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        assert set(self.shapes) == set(self.engine.inputs), "not all inputs have a shape"
        return tuple(max(size, 1) for size in self.engine.get_tensor_shape(name))

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert isinstance(address, int)
        assert self.gpu.memories[address].nbytes == 4 * np.prod(self.get_tensor_shape(name))
        self.addresses[name] = address
        return "address" not in self.gpu.faults

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == STREAM
        assert set(self.addresses) == {*self.engine.inputs, *self.engine.outputs}
        if "refuses" in self.gpu.faults:
            return False
        self.gpu.ask("run", self.engine.graph.stem, self._run)
        return True

    def _run(self) -> None:
        memories = self.gpu.memories
        inputs = {
            name: memories[self.addresses[name]].reshape(self.get_tensor_shape(name))
            for name in self.engine.inputs
        }
        with closing(OnnxEngine(self.engine.graph)) as engine:
            for name, values in engine.run_all(**inputs).items():
                memories[self.addresses[name]][:] = values.ravel()


def plug_in(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> None:
    """Let this process find `gpu`, with its driver, PyCUDA and TensorRT."""
    package = ModuleType("pycuda")
    package.driver = driver = gpu.driver()  # type: ignore[attr-defined]
    modules = {"pycuda": package, "pycuda.driver": driver, "tensorrt": gpu.tensorrt()}
    for name, module in modules.items():
        monkeypatch.setitem(__import__("sys").modules, name, module)
    library = gpu.library()
    monkeypatch.setattr(cuda_graph.ctypes, "CDLL", lambda name: _same(name, library))


def _same(name: str, library: object) -> object:
    return library if name == cuda_graph.LIBRARY else ctypes.PyDLL(name)


def engines_for(bundle: Bundle, folder: Path) -> dict[str, Path]:
    """Engines that the fake loads, one for each graph."""
    paths = {}
    for name in bundle.manifest.graphs:
        paths[name] = folder / f"{name}.engine"
        paths[name].write_text(str(bundle.graph_path(name)))
    return paths
