"""Whether an engine gives what its graph gave in float32, and how long it takes."""

from __future__ import annotations

import time
from contextlib import closing
from pathlib import Path
from statistics import median

from ytm_build.engine.builder import EngineBuilder
from ytm_bundle.bundle import Bundle, Golden
from ytm_bundle.engines import GraphReport
from ytm_bundle.errors import EngineError
from ytm_bundle.manifest import GraphName
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.engines.golden import distance

_MOST_RUNS = 30
_LONGEST_S = 1.0


def examine(
    bundle: Bundle, name: GraphName, path: Path, builder: EngineBuilder, build_s: float
) -> GraphReport:
    """Load the engine at `path` and ask it what the bundle's golden vectors ask.

    Raises:
        EngineError: it is further off than the manifest allows.
        DeviceError: it cannot be loaded or run.
        BundleError: the golden vectors cannot be read.
    """
    golden, tolerance = bundle.golden(name), bundle.manifest.graphs[name].tolerance
    with closing(builder.load(path)) as engine:
        error = _error(engine.run_all(**golden.inputs), bundle, name, golden)
        # Also where it is not a number.
        if not error <= tolerance:
            raise EngineError(
                f"{name}: off by {error:.2e} (relative L2) from the golden vectors, which ONNX"
                f" Runtime computed in float32; {tolerance:.0e} is allowed; nothing is published"
            )
        one = {key: values[:1] for key, values in golden.inputs.items()}
        latency_ms = _latency_ms(engine, one)
    return GraphReport(
        name=name,
        size_bytes=path.stat().st_size,
        build_s=round(build_s, 3),
        error=error,
        tolerance=tolerance,
        latency_ms=round(latency_ms, 4),
    )


def _error(found: dict[str, Tensor], bundle: Bundle, name: GraphName, golden: Golden) -> float:
    """Relative L2 distance of the output that is furthest off; some are not in golden vectors."""
    if not golden.next_state:
        (only,) = found.values()
        return distance(only, golden.output)
    right = {bundle.manifest.graphs[name].output.name: golden.output, **golden.next_state}
    if not right.keys() <= found.keys():
        return float("inf")
    return max(distance(found[each], right[each]) for each in right)


def _latency_ms(engine: Engine, inputs: dict[str, Tensor]) -> float:
    """Median of a few runs."""
    taken_s: list[float] = []
    while len(taken_s) < _MOST_RUNS and sum(taken_s) < _LONGEST_S:
        began_s = time.perf_counter()
        engine.run_all(**inputs)
        taken_s.append(time.perf_counter() - began_s)
    return median(taken_s) * 1000
