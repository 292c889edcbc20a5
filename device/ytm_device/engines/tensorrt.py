"""Graphs run by TensorRT on the GPU. Not run on a GPU yet.

Only what TensorRT 10.3, 10.16 and 11.4 all have is used; a test compares every name with theirs,
and finds the class of each by its annotation. TensorRT is imported late, and here alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from ytm_bundle.errors import DeviceError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.cuda import CudaThread
from ytm_device.engines.cuda_graph import CudaGraph
from ytm_device.engines.engine import Tensor
from ytm_device.engines.mind import Answer
from ytm_device.owner import Owner

if TYPE_CHECKING:
    import tensorrt as trt

_FLOAT_BYTES = 4


def tensorrt_version() -> str:
    """Of TensorRT, in full.

    Raises:
        DeviceError: it is not installed, or cannot be loaded.
    """
    return str(_tensorrt().__version__)


@dataclass(frozen=True)
class _Buffer:
    """Where a tensor lies: float32, a batch of one."""

    shape: tuple[int, ...]
    address: int
    """On the GPU."""
    host: Tensor


class TensorRtEngine(Owner):
    """An `Engine` on TensorRT. Its buffers are bound once, by name."""

    def __init__(
        self, path: Path, gpu: CudaThread | None = None, given: Mapping[str, int] | None = None
    ) -> None:
        """Load the engine at `path`.

        Args:
            path: made for this machine; see `ytm_bundle.engines`.
            gpu: on which it runs, which outlives it; without one, it opens its own.
            given: name of an input -> where on the GPU it is made by another engine.

        Raises:
            DeviceError: TensorRT refuses it, there is no GPU, or not enough memory on it.
        """
        self.backend = f"TensorRT {tensorrt_version()} (GPU)"
        self._name = path.name
        # Held here alone, or an error that is on its way would keep them when the GPU is left.
        self._runtime: trt.Runtime = None
        self._engine: trt.ICudaEngine = None
        self._context: trt.IExecutionContext = None
        self.buffers: dict[str, _Buffer] = {}
        self.inputs: tuple[str, ...] = ()
        self.outputs: tuple[str, ...] = ()
        with ExitStack() as stack:
            self._gpu = gpu or stack.enter_context(CudaThread())
            stack.callback(self._release)
            self._load(path)
            self._bind(given or {})
            self._stack = stack.pop_all()

    def close(self) -> None:
        """See `Engine.close`."""
        self._stack.close()

    def _release(self) -> None:
        self.buffers = {}
        # In this order: each needs those after it.
        self._context = self._engine = self._runtime = None

    def run(self, **inputs: Tensor) -> Tensor:
        """See `Engine.run`."""
        (output,) = self.run_all(**inputs).values()
        return output

    def run_all(self, **inputs: Tensor) -> dict[str, Tensor]:
        """See `Engine.run_all`; the rows of a batch are run one after the other."""
        self._check(inputs)
        (count,) = {len(each) for each in inputs.values()}
        rows = [
            self._run_row({name: each[row : row + 1] for name, each in inputs.items()})
            for row in range(count)
        ]
        return {name: np.concatenate([row[name] for row in rows]) for name in self.outputs}

    @property
    def output(self) -> str:
        """Name of the one output."""
        return self.outputs[0]

    def enqueue(self) -> None:
        """Begin to run, after everything that was begun before.

        Raises:
            DeviceError: TensorRT refuses.
        """
        if not self._context.execute_async_v3(self._gpu.stream):
            raise DeviceError(f"{self._name}: TensorRT cannot run this engine")

    def download(self, name: str) -> Tensor:
        """Begin to copy an output from the GPU; it is there after `wait`, until the next run."""
        buffer = self.buffers[name]
        self._gpu.download(buffer.host, buffer.address)
        return buffer.host

    def _load(self, path: Path) -> None:
        module = _tensorrt()
        try:
            data = path.read_bytes()
        except OSError as error:
            raise DeviceError(f"{path}: cannot be read ({error.strerror})") from error
        self._runtime = module.Runtime(module.Logger(module.Logger.WARNING))
        self._engine = self._runtime.deserialize_cuda_engine(data)
        if self._engine is None:
            raise DeviceError(f"{path}: TensorRT cannot load this engine; build it again here")
        self._context = self._engine.create_execution_context()
        if self._context is None:
            raise DeviceError(f"{path}: TensorRT cannot prepare this engine; out of memory?")

    def _bind(self, given: Mapping[str, int]) -> None:
        module = _tensorrt()
        count = self._engine.num_io_tensors
        names = [self._engine.get_tensor_name(index) for index in range(count)]
        modes = {name: self._engine.get_tensor_mode(name) for name in names}
        self.inputs = tuple(n for n in names if modes[n] == module.TensorIOMode.INPUT)
        self.outputs = tuple(n for n in names if modes[n] == module.TensorIOMode.OUTPUT)
        for name in names:
            if self._engine.get_tensor_dtype(name) != module.DataType.FLOAT:
                raise DeviceError(f"{self._name}: {name} is not float32; build the bundle again")
        for name in self.inputs:
            shape = tuple(max(size, 1) for size in self._engine.get_tensor_shape(name))
            if not self._context.set_input_shape(name, shape):
                raise DeviceError(f"{self._name}: takes no {name} of shape {shape}")
        for name in names:
            self.buffers[name] = buffer = self._buffer(name, given.get(name))
            if not self._context.set_tensor_address(name, buffer.address):
                raise DeviceError(f"{self._name}: TensorRT takes no memory for {name}")

    def _buffer(self, name: str, address: int | None) -> _Buffer:
        shape = tuple(self._context.get_tensor_shape(name))
        if min(shape, default=1) < 1:
            raise DeviceError(f"{self._name}: the shape of {name} is not known ({shape})")
        if address is None:
            address = self._gpu.allocate(_FLOAT_BYTES * int(np.prod(shape)))
        return _Buffer(shape, address, self._gpu.host(shape))

    def _check(self, inputs: Mapping[str, Tensor]) -> None:
        if set(inputs) != set(self.inputs):
            raise DeviceError(f"{self._name}: takes {self.inputs}, not {tuple(inputs)}")
        for name, values in inputs.items():
            shape = self.buffers[name].shape
            if values.dtype != np.float32 or values.shape[1:] != shape[1:]:
                raise DeviceError(
                    f"{self._name}: {name} is {values.dtype} {values.shape}; it takes float32"
                    f" {shape}"
                )
        if len({len(values) for values in inputs.values()}) != 1:
            raise DeviceError(f"{self._name}: its inputs have different numbers of rows")

    def _run_row(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        for name, values in inputs.items():
            buffer = self.buffers[name]
            np.copyto(buffer.host, values)
            self._gpu.upload(buffer.address, buffer.host)
        self.enqueue()
        outputs = {name: self.download(name) for name in self.outputs}
        self._gpu.wait()
        return {name: values.copy() for name, values in outputs.items()}


class TensorRtMind(Owner):
    """`Graphs` on TensorRT: what one graph gives another stays on the GPU."""

    def __init__(self, paths: Mapping[GraphName, Path], cuda_graph: bool = False) -> None:
        """Load the engines of `mind.ANSWERING`.

        Args:
            paths: of the engines.
            cuda_graph: record what an answer takes once, and replay that; saves the time to begin
                each part of it.

        Raises:
            DeviceError: as for `TensorRtEngine`.
        """
        self._cuda_graph = cuda_graph
        self._replay: CudaGraph | None = None
        with ExitStack() as stack:
            self._gpu = stack.enter_context(CudaThread())
            self._connect(stack, paths)
            self._stack = stack.pop_all()
        self.backend = self._encoder.backend
        self._engines: dict[GraphName, TensorRtEngine] = {
            "image_encoder": self._encoder,
            "image_to_sound": self._associator,
            "sound_decoder": self._sounder,
            "image_decoder": self._painter,
        }

    def close(self) -> None:
        """See `Mind.close`."""
        self._stack.close()

    def run(self, name: GraphName, **inputs: Tensor) -> Tensor:
        """See `Graphs.run`."""
        return self._engines[name].run(**inputs)

    def answer(self, image: Tensor, noise: Tensor) -> Answer:
        """See `Mind.answer`."""
        np.copyto(self._encoder.buffers["image"].host, image)
        if "noise" in self._associator.inputs:
            np.copyto(self._associator.buffers["noise"].host, noise)
        self._begin()
        self._gpu.wait()
        outputs = [each.buffers[each.output].host.copy() for each in self._answering]
        return Answer(*outputs)

    def _connect(self, stack: ExitStack, paths: Mapping[GraphName, Path]) -> None:
        def load(path: Path, given: Mapping[str, int] | None = None) -> TensorRtEngine:
            return stack.enter_context(TensorRtEngine(path, self._gpu, given))

        self._encoder = encoder = load(paths["image_encoder"])
        latent = {"latent": encoder.buffers[encoder.output].address}
        seen = latent | {"image": encoder.buffers["image"].address}
        self._associator = associator = load(paths["image_to_sound"], seen)
        heard = {"latent": associator.buffers[associator.output].address}
        self._sounder = load(paths["sound_decoder"], heard)
        self._painter = load(paths["image_decoder"], latent)
        self._answering = (self._encoder, self._painter, self._sounder)

    def _begin(self) -> None:
        """Ask the GPU for everything that an answer takes; nothing of it needs to be done yet."""
        if not self._cuda_graph:
            self._enqueue()
        elif self._replay is None:
            # Once without: what TensorRT does only in a first run cannot be recorded.
            self._enqueue()
            self._gpu.wait()
            self._replay = self._stack.enter_context(CudaGraph(self._gpu.stream, self._enqueue))
        if self._replay is not None:
            self._replay.launch()

    def _enqueue(self) -> None:
        self._upload(self._encoder, ["image"])
        self._upload(self._associator, {"noise"} & set(self._associator.inputs))
        for engine in (self._encoder, self._associator, self._sounder, self._painter):
            engine.enqueue()
        for engine in self._answering:
            engine.download(engine.output)

    def _upload(self, engine: TensorRtEngine, names: Iterable[str]) -> None:
        for name in names:
            buffer = engine.buffers[name]
            self._gpu.upload(buffer.address, buffer.host)


def _tensorrt() -> ModuleType:
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise DeviceError(f"TensorRT cannot be imported ({error})") from error
    module: ModuleType = tensorrt
    return module
