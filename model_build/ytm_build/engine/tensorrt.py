"""Engines that TensorRT makes for the GPU of this machine. Not run on a GPU yet.

Only what TensorRT 10.3, 10.16 and 11.4 all have is used. TensorRT for RTX has nearly the same
interface and builds without a GPU: the tests hand its module to `compiled`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ytm_build.engine.builder import Built
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import EngineKey
from ytm_bundle.errors import DeviceError, EngineError
from ytm_device.engines.engine import Engine
from ytm_device.engines.platform import TENSORRT_OPTIONS, tensorrt_key
from ytm_device.engines.tensorrt import TensorRtEngine

if TYPE_CHECKING:
    import tensorrt as trt

_BYTES_PER_MIB = 1 << 20
_LAST_WORDS = 3
"""Errors of the builder that are told; the first ones are the cause, the rest follow from them."""


class TensorRtBuilder:
    """An `EngineBuilder`."""

    def __init__(self) -> None:
        """Load TensorRT.

        Raises:
            DeviceError: it is not installed.
        """
        self._module = _tensorrt()
        self.name = f"TensorRT {self._module.__version__}"

    def key(self, bundle: Bundle) -> EngineKey:
        """See `EngineBuilder.key`."""
        reasons: list[str] = []
        key = tensorrt_key(bundle, reasons)
        if key is None:
            raise DeviceError("; ".join(reasons))
        return key

    def build(self, graph: Path, cache: bytes) -> Built:
        """See `EngineBuilder.build`."""
        return compiled(self._module, graph, TENSORRT_OPTIONS, cache)

    def load(self, engine: Path) -> Engine:
        """See `EngineBuilder.load`."""
        return TensorRtEngine(engine)


def compiled(
    module: ModuleType,
    graph: Path,
    options: Mapping[str, str],
    cache: bytes,
    adjust: Callable[[Any], object] | None = None,
) -> Built:
    """Build an engine with strongly typed layers: what computes in float16 is said by the graph.

    Args:
        module: TensorRT, or one with its interface.
        graph: an ONNX file whose inputs and outputs are float32, batch first.
        options: `batch`, `builder_optimization_level` and `workspace_mib`.
        cache: of an earlier build on this machine, or empty.
        adjust: changes the builder's configuration last.

    Raises:
        EngineError: the parser refuses a node, or the builder fails.
    """
    logger = _logger(module)
    builder: trt.Builder = module.Builder(logger)
    network: trt.INetworkDefinition = builder.create_network(strongly_typed(module))
    _parse(module, network, logger, graph)
    config: trt.IBuilderConfig = builder.create_builder_config()
    config.builder_optimization_level = int(options["builder_optimization_level"])
    workspace_bytes = int(options["workspace_mib"]) * _BYTES_PER_MIB
    config.set_memory_pool_limit(module.MemoryPoolType.WORKSPACE, workspace_bytes)
    config.add_optimization_profile(_profile(builder, network, int(options["batch"])))
    _use(config, cache)
    if adjust is not None:
        adjust(config)
    engine: trt.IHostMemory | None = builder.build_serialized_network(network, config)
    if engine is None:
        said = "; ".join(logger.errors[:_LAST_WORDS]) or "it does not say why; out of memory?"
        raise EngineError(f"{graph}: TensorRT cannot build this graph ({said})")
    return Built(bytes(engine), _measured(config))


def strongly_typed(module: ModuleType) -> int:
    """The flag of 10.x; where it is gone, nothing else is left."""
    flag = getattr(module.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return 0 if flag is None else 1 << int(flag)


def _parse(
    module: ModuleType, network: trt.INetworkDefinition, logger: trt.ILogger, graph: Path
) -> None:
    parser: trt.OnnxParser = module.OnnxParser(network, logger)
    if parser.parse_from_file(str(graph)):
        return
    errors: list[trt.ParserError] = [parser.get_error(n) for n in range(parser.num_errors)]
    said = "; ".join(
        f"node {error.node_name() or '?'} ({error.node_operator() or '?'}): {error.desc()}"
        for error in errors[:_LAST_WORDS]
    )
    raise EngineError(f"{graph}: TensorRT cannot read this graph ({said or 'it says nothing'})")


def _profile(
    builder: trt.Builder, network: trt.INetworkDefinition, batch: int
) -> trt.IOptimizationProfile:
    """For exactly `batch` rows."""
    profile: trt.IOptimizationProfile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor: trt.ITensor = network.get_input(index)
        shape = (batch, *tuple(tensor.shape)[1:])
        profile.set_shape(tensor.name, shape, shape, shape)
    return profile


def _use(config: trt.IBuilderConfig, cache: bytes) -> None:
    """Give the builder a timing cache: `cache`, or an empty one if it is of another build."""
    known: trt.ITimingCache | None = config.create_timing_cache(cache)
    if known is None or not config.set_timing_cache(known, False):
        config.set_timing_cache(config.create_timing_cache(b""), False)


def _measured(config: trt.IBuilderConfig) -> bytes:
    cache: trt.ITimingCache | None = config.get_timing_cache()
    return b"" if cache is None else bytes(cache.serialize())


def _logger(module: ModuleType) -> Any:
    class Logger(module.ILogger):  # type: ignore[name-defined,misc]
        """Keeps the builder's errors, to be told if it fails."""

        def __init__(self) -> None:
            module.ILogger.__init__(self)
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            """Called by TensorRT."""
            if severity in (module.ILogger.ERROR, module.ILogger.INTERNAL_ERROR):
                self.errors.append(message)

    return Logger()


def _tensorrt() -> ModuleType:
    try:
        import tensorrt
    except (ImportError, OSError) as error:
        raise DeviceError(f"TensorRT cannot be imported ({error})") from error
    module: ModuleType = tensorrt
    return module
