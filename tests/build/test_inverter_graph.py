"""The inverter's graph: what it is made of, its transforms, and how a bundle carries it."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest

from ytm_build import inverter_export
from ytm_build.export import relative_distance
from ytm_build.fourier_nodes import FourierNodes
from ytm_build.graph_writer import GraphWriter
from ytm_build.inverter_export import REFERENCE_TOLERANCE, inverter_spec, write_inverter
from ytm_build.inverter_graph import OPSET, inverter_model
from ytm_bundle.bundle import Bundle, MelMatrices, open_bundle
from ytm_bundle.errors import ExportError
from ytm_bundle.manifest import (
    INVERTER,
    INVERTER_STATE,
    NEXT,
    SoundSpec,
    StreamInversion,
)
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.modes import QUALITY, STREAM, ZERO
from ytm_device.sound.streaming.tables import StreamTables

# What TensorRT's parser knows from 10.3 on.
OPERATORS = {
    *("Add", "Sub", "Mul", "Div", "Neg", "Max", "Min", "Sqrt", "Log", "Cos", "Sin"),
    *("Greater", "Where", "MatMul", "ReduceL2", "ReduceMax", "ReduceSum"),
    *("Concat", "Reshape", "Slice", "Transpose"),
}
MOST_BYTES = 1_000_000


def _demo_tables(bundle: Bundle, inversion: StreamInversion) -> StreamTables:
    return StreamTables(bundle.manifest.sound, inversion, bundle.mel_matrices())


@pytest.fixture(scope="module")
def demo():
    with open_bundle(DEMO_BUNDLE) as bundle:
        yield bundle


@pytest.mark.parametrize("inversion", [ZERO, STREAM, QUALITY], ids=["zero", "stream", "quality"])
def test_it_is_small_and_holds_only_what_tensorrt_knows(
    demo: Bundle, inversion: StreamInversion
) -> None:
    model = inverter_model(_demo_tables(demo, inversion))
    onnx.checker.check_model(model, full_check=True)
    assert {node.op_type for node in model.graph.node} <= OPERATORS
    assert [each.version for each in model.opset_import] == [OPSET]
    assert model.ByteSize() < MOST_BYTES
    kinds = {weight.data_type for weight in model.graph.initializer}
    assert kinds == {onnx.TensorProto.FLOAT, onnx.TensorProto.INT64}
    assert all(0 not in weight.dims for weight in model.graph.initializer)


def test_shapes_are_fixed_and_are_those_of_the_manifest(demo: Bundle) -> None:
    """The batch is 1: a state belongs to one sound."""
    sound = demo.manifest.sound
    model = inverter_model(_demo_tables(demo, sound.inversion))
    shapes = {
        port.name: tuple(axis.dim_value for axis in port.type.tensor_type.shape.dim)
        for port in (*model.graph.input, *model.graph.output)
    }
    wanted = {name: (1, *shape) for name, shape in sound.streamed_shapes().items()}
    assert shapes == wanted | {NEXT + name: wanted[name] for name in INVERTER_STATE}


def test_a_real_tensorrt_parses_and_builds_it(demo: Bundle, tmp_path: Path) -> None:
    """TensorRT for RTX, whose parser is TensorRT's, needs no GPU to build."""
    trt = pytest.importorskip("tensorrt_rtx", reason="needs tensorrt-rtx")
    path = tmp_path / "inverter.onnx"
    onnx.save(inverter_model(_demo_tables(demo, STREAM)), str(path))
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(str(path)), [
        str(parser.get_error(each)) for each in range(parser.num_errors)
    ]
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(trt.ComputeCapability.SM86, 0)
    assert builder.build_serialized_network(network, config) is not None


@pytest.mark.parametrize("n_fft", [64, 128, 1024, 2048])
def test_transforms_are_numpys(n_fft: int, tmp_path: Path) -> None:
    writer = GraphWriter()
    nodes = FourierNodes(writer, 3, n_fft)
    spectra = nodes.forward("frames")
    writer.reshape(nodes.inverse(spectra), 3, n_fft, name="back")
    writer.reshape(spectra, 3, 2, n_fft // 2 + 1, name="spectra")
    outputs = {"spectra": (3, 2, n_fft // 2 + 1), "back": (3, n_fft)}
    path = tmp_path / "transforms.onnx"
    onnx.save(writer.model("transforms", {"frames": (3, n_fft)}, outputs, OPSET), str(path))
    frames = np.random.default_rng(n_fft).normal(0, 1, (3, n_fft)).astype(np.float32)
    with closing(OnnxEngine(path)) as engine:
        found = engine.run_all(frames=frames)
    expected = np.fft.rfft(frames)
    assert np.abs(found["spectra"][:, 0] - expected.real).max() < 2e-6 * np.abs(expected).max()
    assert np.abs(found["spectra"][:, 1] - expected.imag).max() < 2e-6 * np.abs(expected).max()
    assert np.abs(found["back"] - frames).max() < 5e-6


@pytest.fixture
def sound(demo: Bundle) -> tuple[SoundSpec, MelMatrices, np.ndarray]:
    return demo.manifest.sound, demo.mel_matrices(), demo.replay().mels[:3]


def test_it_is_the_same_each_time_and_has_a_golden_hop(sound, tmp_path: Path) -> None:
    paths = [tmp_path / "one.onnx", tmp_path / "other.onnx"]
    one, other = (write_inverter(path, *sound) for path in paths)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert one.error == other.error < REFERENCE_TOLERANCE
    assert one.spec == inverter_spec(sound[0])
    assert np.abs(one.golden[f"{INVERTER}.out.hop"]).max() > 0
    assert all(len(array) == 1 for array in one.golden.values())


def test_silence_alone_is_no_error(sound, tmp_path: Path) -> None:
    spec, matrices, mels = sound
    written = write_inverter(tmp_path / "inverter.onnx", spec, matrices, np.zeros_like(mels))
    assert written.error == 0


def test_a_graph_that_strays_from_the_reference_is_refused(
    sound, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A planted fault: a graph for other matrices."""
    spec, matrices, mels = sound
    other = replace(matrices, inverse=matrices.inverse[::-1])

    def strayed(tables: StreamTables) -> onnx.ModelProto:
        return inverter_model(StreamTables(spec, spec.inversion, other))

    monkeypatch.setattr(inverter_export, "inverter_model", strayed)
    with pytest.raises(ExportError, match=r"inverter: the graph is off the reference by"):
        write_inverter(tmp_path / "inverter.onnx", spec, matrices, mels)


@pytest.mark.parametrize("which", ["demo", "built"])
def test_a_bundle_whose_sound_is_streamed_carries_it(request, which: str) -> None:
    path = DEMO_BUNDLE if which == "demo" else request.getfixturevalue("built")[0]
    with open_bundle(path) as bundle:
        spec, golden = bundle.manifest.graphs[INVERTER], bundle.golden(INVERTER)
        with closing(OnnxEngine(bundle.graph_path(INVERTER))) as engine:
            found = engine.run_all(**golden.inputs)
    assert set(golden.inputs) == {"power", *INVERTER_STATE} == set(engine.inputs)
    assert relative_distance(found["hop"], golden.output) <= spec.tolerance
    assert set(golden.next_state) == {"next_recent", "next_past"}
    for name, expected in golden.next_state.items():
        assert relative_distance(found[name], expected) <= spec.tolerance


def test_a_bundle_without_it_is_as_good(tiny_bundle: Bundle) -> None:
    assert INVERTER not in tiny_bundle.manifest.graphs
    first = json.loads((tiny_bundle.folder / "manifest.json").read_text())
    assert first["graphs"].keys() == set(tiny_bundle.manifest.graphs)
