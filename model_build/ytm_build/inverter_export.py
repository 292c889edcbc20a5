"""The graph `inverter` of a bundle: written, held against the NumPy reference, with its vectors."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx

from ytm_build.inverter_graph import inverter_model
from ytm_bundle.bundle import MelMatrices
from ytm_bundle.errors import ExportError
from ytm_bundle.manifest import (
    GRAPH_OUTPUTS,
    INVERTER,
    INVERTER_STATE,
    NEXT,
    PHASORS,
    GraphSpec,
    SoundSpec,
    StreamInversion,
    TensorSpec,
)
from ytm_device.engines.engine import Engine, Tensor
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.gesture import lay_out
from ytm_device.sound.streaming.graph import first_state, next_state
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import step_s, steps_per_frame
from ytm_device.sound.streaming.tables import StreamTables

REFERENCE_TOLERANCE = 1e-3
"""Of the graph from the reference over the first hops of a sound; the median of several sounds.
Rounding grows with every hop, and in rare sounds at once."""
GOLDEN_TOLERANCE = 5e-3
"""Of an engine from the golden hop."""
HOPS = 5
"""Compared after those that only fill the look-ahead."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class WrittenInverter:
    """What a bundle says of its graph `inverter`."""

    error: float
    """Relative L2 distance from the reference."""
    spec: GraphSpec
    golden: dict[str, Array]
    """Arrays for golden.npz, one hop from the midst of the loudest sound."""


def write_inverter(
    path: Path, sound: SoundSpec, matrices: MelMatrices, mels: Array
) -> WrittenInverter:
    """Write the graph that streams `sound` to `path`, and compare it with `ReferenceStream`.

    Args:
        path: the ONNX file.
        sound: whose inversion is a stream.
        matrices: of its filter bank.
        mels: float32 (k, n_mels, frames), scaled: sounds to compare on, k >= 1.

    Raises:
        ExportError: the graph is further from the reference than allowed.
    """
    assert isinstance(sound.inversion, StreamInversion)
    tables = StreamTables(sound, sound.inversion, matrices)
    onnx.save(inverter_model(tables), str(path))
    with closing(OnnxEngine(path)) as engine:
        played = [list(_play(engine, tables, _beginning(mel, sound, tables))) for mel in mels]
    errors = [_error(hops, tables) for hops in played]
    error = statistics.median(errors)
    if not error <= REFERENCE_TOLERANCE:
        raise ExportError(
            f"{INVERTER}: the graph is off the reference by {error:.2e} (relative L2), more than"
            f" {REFERENCE_TOLERANCE:.0e}; nothing was written"
        )
    loudest = max((hops[-1] for hops in played), key=lambda hop: np.linalg.norm(hop[1]["hop"]))
    return WrittenInverter(error, inverter_spec(sound), _golden(*loudest))


def inverter_spec(sound: SoundSpec) -> GraphSpec:
    """What a manifest says of the graph that streams `sound`."""
    shapes = sound.streamed_shapes()

    def tensor(name: str) -> TensorSpec:
        return TensorSpec.model_validate({"name": name, "shape": shapes[name]})

    return GraphSpec(
        inputs=(tensor("power"),),
        output=tensor(GRAPH_OUTPUTS[INVERTER]),
        state=tuple(tensor(name) for name in INVERTER_STATE),
        tolerance=GOLDEN_TOLERANCE,
    )


def _beginning(mel: Array, sound: SoundSpec, tables: StreamTables) -> Array:
    """Mel power (steps, n_mels) of the loudest rise of a mel and what follows."""
    gesture = lay_out(sound.unscale(mel), steps_per_frame(sound), step_s(sound))
    wanted = gesture.onset + np.arange(tables.look_ahead + HOPS)
    return gesture.rows[wanted % len(gesture.rows)]


def _play(
    engine: Engine, tables: StreamTables, steps: Array
) -> Iterator[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    """Inputs and outputs of the graph for every step, from silence."""
    state = first_state(tables)
    for step in steps:
        inputs = {"power": step[np.newaxis]} | state
        outputs = engine.run_all(**inputs)
        yield inputs, outputs
        state = next_state(outputs)


def _error(hops: list[tuple[dict[str, Tensor], dict[str, Tensor]]], tables: StreamTables) -> float:
    """Relative L2 distance of these hops from the reference's."""
    reference = ReferenceStream(tables)
    expected = np.empty((len(hops), tables.hop), np.float32)
    for (inputs, _), hop in zip(hops, expected, strict=True):
        reference.push(inputs["power"][0], hop)
    found = np.concatenate([outputs["hop"] for _, outputs in hops])
    return float(np.linalg.norm(found - expected)) / max(float(np.linalg.norm(expected)), 1e-12)


def _golden(inputs: dict[str, Tensor], outputs: dict[str, Tensor]) -> dict[str, Array]:
    given = {f"{INVERTER}.in.{name}": array for name, array in inputs.items()}
    compared = {name: array for name, array in outputs.items() if name != NEXT + PHASORS}
    return given | {f"{INVERTER}.out.{name}": array for name, array in compared.items()}
