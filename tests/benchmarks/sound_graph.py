"""The streaming inverter as a graph beside its reference: how near to recordings, and how fast.

Besides the graph as ONNX Runtime computes it on the processor, its matrix products are rounded as a
GPU's TF32 rounds them (emulated), and the reference hears mels that differ in the seventh digit:
what such a difference makes is rounding's and nobody's fault.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack, closing
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import helper, numpy_helper
from recordings import recordings

from ytm_build.inverter_graph import inverter_model
from ytm_build.resynthesis import mel_of
from ytm_bundle.manifest import StreamInversion
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.modes import STREAM, ZERO
from ytm_device.sound.streaming.choice import choose, hop_times
from ytm_device.sound.streaming.chosen import GRAPH, KERNEL
from ytm_device.sound.streaming.compiled import CompiledStream
from ytm_device.sound.streaming.graph import GraphStream
from ytm_device.sound.streaming.reference import ReferenceStream
from ytm_device.sound.streaming.stream import MelStream, play_once
from ytm_device.sound.streaming.tables import StreamTables
from ytm_training.learn.config import CONTINUOUS
from ytm_training.learn.hearing import sound_spec
from ytm_training.learn.showing import mel_matrices

DATA = Path(__file__).resolve().parents[3] / "shared/data"
TF32_SPLIT = np.float32(2**13 + 1)
"""Leaves the ten bits of TF32's mantissa (Dekker's splitting)."""
JITTER = 1e-6
HOPS = 1000
MODES = {"stream": STREAM, "zero": ZERO}


def rounded_as_tf32(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph, with what goes into its matrix products rounded to TF32."""
    rounded, nodes, done = onnx.ModelProto(), [], set()
    rounded.CopyFrom(model)
    rounded.graph.initializer.append(numpy_helper.from_array(TF32_SPLIT, "split"))
    for node in rounded.graph.node:
        if node.op_type == "MatMul":
            for index, name in enumerate(node.input):
                if name not in done:
                    nodes += [
                        helper.make_node("Mul", [name, "split"], [f"{name}_scaled"]),
                        helper.make_node("Sub", [f"{name}_scaled", name], [f"{name}_rest"]),
                        helper.make_node(
                            "Sub", [f"{name}_scaled", f"{name}_rest"], [f"{name}_tf32"]
                        ),
                    ]
                    done.add(name)
                node.input[index] = f"{name}_tf32"
        nodes.append(node)
    del rounded.graph.node[:]
    rounded.graph.node.extend(nodes)
    return rounded


def _graph_stream(
    tables: StreamTables, model: onnx.ModelProto, folder: Path, closed: ExitStack
) -> GraphStream:
    path = folder / "inverter.onnx"
    onnx.save(model, str(path))
    return GraphStream(tables, closed.enter_context(closing(OnnxEngine(path))))


def _measured(inversion: StreamInversion, sounds: list[np.ndarray]) -> None:
    """Print how far each way's mel is from the recordings', beside the reference's."""
    sound = sound_spec(CONTINUOUS.sound, np.ones(1, np.float32))
    sound = sound.model_copy(update={"inversion": inversion})
    matrices = mel_matrices(sound)
    tables = StreamTables(sound, inversion, matrices)
    model, random = inverter_model(tables), np.random.default_rng(0)
    with TemporaryDirectory() as folder, ExitStack() as closed:
        reference = ReferenceStream(tables)
        streams: dict[str, MelStream] = {
            "reference": reference,
            "graph": _graph_stream(tables, model, Path(folder), closed),
            "kernel": CompiledStream(tables),
            "graph, TF32": _graph_stream(tables, rounded_as_tf32(model), Path(folder), closed),
            "reference, other rounding": reference,
        }
        found = []
        for samples in sounds:
            power = np.ascontiguousarray(mel_of(samples, sound, matrices, tables.hop).T)
            found.append([])
            for name, stream in streams.items():
                stream.restart()
                jitter = JITTER * random.normal(size=power.shape) * name.endswith("rounding")
                played = play_once((power * (1 + jitter)).astype(np.float32), stream, tables)
                got = np.sqrt(mel_of(played, sound, matrices, tables.hop).T)
                wanted = np.sqrt(power[: len(got)])
                found[-1].append(np.linalg.norm(got - wanted) / np.linalg.norm(wanted))
        _tell(list(streams), np.array(found))
        ways = {KERNEL: streams["kernel"], GRAPH: streams["graph"]}
        times = hop_times(ways, power, tables.hop, HOPS)
        print(choose(times, tables.hop / sound.playback_rate_hz).why)


def _tell(names: list[str], found: np.ndarray) -> None:
    """Of each way: the mean, and what it is worse than the reference by."""
    for name, distances in zip(names, found.T, strict=True):
        worse = distances - found[:, 0]
        print(
            f"{name:26} convergence {distances.mean():.4f}, over the reference's: mean"
            f" {worse.mean():+.4f}, from {worse.min():+.4f} to {worse.max():+.4f},"
            f" {np.mean(np.abs(worse) <= 0.005):.0%} within .005"
        )


def main() -> None:
    """Print all figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=DATA, help="holds videos and digits")
    parser.add_argument("--every", type=int, default=1, help="measure every so many recordings")
    parser.add_argument("--seconds", type=float, default=2.0, help="of each recording")
    options = parser.parse_args()
    kinds = recordings(options.data)
    length = round(options.seconds * CONTINUOUS.sound.playback_rate_hz)
    sounds = [each[:length] for kind in kinds.values() for each in kind][:: options.every]
    print(f"{len(sounds)} recordings")
    for name, inversion in MODES.items():
        print(f"-- {name}")
        _measured(inversion, sounds)


if __name__ == "__main__":
    main()
