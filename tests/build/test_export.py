"""A run becomes a bundle: what is in it, that it means the same, and what is refused."""

import json
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from small_run import BIN, train, write_small_dataset
from ytm_build import export
from ytm_build.export import build_bundle, relative_distance
from ytm_build.graphs import Graph, HalfBody, graphs
from ytm_bundle.bundle import open_bundle
from ytm_bundle.errors import BundleError, ExportError, RunError
from ytm_bundle.manifest import GRAPH_NAMES, INVERTER
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.frame import Frame
from ytm_device.reflecting.reflector import Reflector
from ytm_device.sound.loudness import integrated_lufs
from ytm_training.learn.run import Run

# What TensorRT's parser knows, as far as these graphs need it. No STFT, DFT or ScatterND.
OPERATORS = {
    *("Add", "AveragePool", "Cast", "Clip", "Conv", "Div", "Gemm", "MatMul", "Mul", "Sub"),
    *("DepthToSpace", "Flatten", "Relu", "Reshape", "Resize", "Slice", "Transpose"),
    *("LayerNormalization", "ReduceL2", "Sigmoid"),
    *("Concat", "Gather", "Identity", "Pad", "Shape", "Squeeze", "Unsqueeze", "Constant"),
}


def _quiet(_report):
    """Nobody is told."""


def test_every_graph_is_within_its_tolerances(built):
    _, reports = built
    *reports, inverter = reports
    assert inverter.name == INVERTER
    assert [report.name for report in reports] == list(GRAPH_NAMES)
    for report in reports:
        assert report.float32_error <= 1e-5
        assert 0 < report.float16_error <= 5e-3


def test_golden_vectors_come_back(built):
    with open_bundle(built[0]) as bundle:
        for name in GRAPH_NAMES:
            golden = bundle.golden(name)
            with closing(OnnxEngine(bundle.graph_path(name))) as engine:
                found = engine.run(**golden.inputs)
            tolerance = bundle.manifest.graphs[name].tolerance
            assert relative_distance(found, golden.output) <= tolerance


def test_golden_vectors_tell_the_stills_apart(built):
    with open_bundle(built[0]) as bundle:
        pictures = bundle.golden("image_decoder").output
    assert np.abs(pictures[0] - pictures[1:]).mean() > 0.01


@pytest.mark.parametrize("count", [1, 2])
def test_the_batch_is_free(built, count):
    with open_bundle(built[0]) as bundle:
        for name in GRAPH_NAMES:
            golden = bundle.golden(name)
            with closing(OnnxEngine(bundle.graph_path(name))) as engine:
                found = engine.run(**{key: value[:count] for key, value in golden.inputs.items()})
            assert found.shape == (count, *golden.output.shape[1:])


def test_noise_varies_the_answer_and_none_leaves_it(built):
    with open_bundle(built[0]) as bundle:
        latents = bundle.golden("image_to_sound").inputs["latent"]
        with closing(OnnxEngine(bundle.graph_path("image_to_sound"))) as engine:
            answers = [
                engine.run(latent=latents, noise=np.full_like(latents, level))
                for level in (0.0, 0.0, 1.0)
            ]
    assert np.array_equal(answers[0], answers[1])
    assert relative_distance(answers[2], answers[0]) > 0.01


@pytest.mark.parametrize("size", [160, 192])
def test_larger_pictures_go_the_whole_way(tmp_path, size):
    dataset = write_small_dataset(tmp_path / "dataset", 4)
    done = train(dataset, tmp_path / "run", "--max-epochs", "1", "--set", f"picture.size={size}")
    assert done.returncode == 0, done.stderr
    build_bundle(Run(tmp_path / "run"), tmp_path / "bundle", "large", lambda report: None)
    with open_bundle(tmp_path / "bundle") as bundle, Reflector(bundle) as reflector:
        picture = bundle.replay().images[0]
        assert picture.shape == (size, size, 3)
        assert reflector.reflect(Frame(picture, 1, 0, "replay")).image.shape == picture.shape


def test_bodies_are_float16_between_float32_ends(built):
    for name in GRAPH_NAMES:
        model = onnx.load(built[0] / "graphs" / f"{name}.onnx")
        onnx.checker.check_model(model, full_check=True)
        ends = [*model.graph.input, *model.graph.output]
        assert {end.type.tensor_type.elem_type for end in ends} == {onnx.TensorProto.FLOAT}
        kinds = {weight.data_type for weight in model.graph.initializer if len(weight.dims) > 1}
        assert kinds == {onnx.TensorProto.FLOAT16}
        assert {node.op_type for node in model.graph.node} <= OPERATORS


def test_nothing_in_a_graph_tells_where_it_was_made(built):
    for path in (built[0] / "graphs").glob("*.onnx"):
        data = path.read_bytes()
        assert b".py" not in data
        assert str(Path.home()).encode() not in data


def test_mel_inverse_is_the_inverse_of_the_mel_matrix(built):
    with open_bundle(built[0]) as bundle:
        matrices = bundle.mel_matrices()
    again = matrices.forward @ matrices.inverse @ matrices.forward
    assert relative_distance(again, matrices.forward) < 1e-4
    assert np.abs(matrices.inverse).max() < 1e3


def test_replay_holds_training_pictures_and_their_reconstructions(built, run):
    exemplars = Run(run).exemplars()
    with open_bundle(built[0]) as bundle:
        replay = bundle.replay()
        manifest = bundle.manifest
    assert np.array_equal(replay.images, exemplars.images)
    assert replay.reconstructions.shape == replay.images.shape
    assert sorted(manifest.replay.order) == list(range(len(replay.images)))
    assert 0 <= replay.mels.min() <= replay.mels.max() <= 1
    assert manifest.sources[0].title == "squares"
    metrics = json.loads((run / "metrics.json").read_text())
    assert manifest.quality == metrics
    assert manifest.learned == Run(run).material().learned
    assert len(manifest.learned) > len(replay.images)
    assert manifest.sudden_change == pytest.approx(0.35 * metrics["picture_latent_distance"])


def test_the_loudness_stated_is_that_of_the_graphs_answers(built):
    with open_bundle(built[0]) as bundle:
        sound, manifest = bundle.manifest.sound, bundle.manifest
        answers = []
        for picture in bundle.replay().images:
            with Reflector(bundle) as reflector:
                frame = Frame(picture, 1, 0, "replay")
                answers.append(reflector.reflect(frame).mel)
        powers = sound.unscale(np.stack(answers))
        heard_lufs = integrated_lufs(powers, sound, bundle.mel_matrices())
    assert manifest.answer_loudness_lufs == pytest.approx(heard_lufs, abs=0.2)


def test_a_bundle_is_the_same_each_time(built, run, tmp_path):
    build_bundle(Run(run), tmp_path / "again", "small", _quiet)
    for path in (built[0] / "graphs").glob("*.onnx"):
        assert path.read_bytes() == (tmp_path / "again" / "graphs" / path.name).read_bytes()


def test_the_command_prints_both_errors_of_every_graph(run, tmp_path):
    command = [str(BIN / "ytm-build-engine"), str(run), "--out", str(tmp_path / "small.ytm")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)
    with open_bundle(tmp_path / "small.ytm") as bundle:
        assert bundle.id == told["id"]
        assert bundle.manifest.name == "small"
    assert {graph["name"] for graph in told["graphs"]} == {*GRAPH_NAMES, INVERTER}
    assert all(graph["float16_error"] <= told["float16_tolerance"] for graph in told["graphs"])


def test_folding_changes_nothing(run):
    networks = Run(run).trained()
    encoder = next(graph for graph in graphs(networks) if graph.name == "image_encoder").module
    assert not [part for part in encoder.modules() if isinstance(part, nn.BatchNorm2d)]
    pictures = torch.rand(2, 3, 112, 112)
    with torch.no_grad():
        expected = networks.image_vae.encoder(pictures).mean
        assert relative_distance(encoder(pictures).numpy(), expected.numpy()) < 1e-5


def test_half_body_leaves_its_module_as_it_was():
    module = nn.Linear(2, 2)
    HalfBody(module)
    assert module.weight.dtype == torch.float32


@pytest.mark.parametrize(
    ("limit", "words"),
    [("FLOAT32_TOLERANCE", "from torch is off by"), ("FLOAT16_TOLERANCE", "float16 graph")],
)
def test_a_graph_too_far_off_leaves_the_bundle_that_was_there(
    built, run, tmp_path, monkeypatch, limit, words
):
    target = shutil.copytree(built[0], tmp_path / "bundle")
    monkeypatch.setattr(export, limit, 1e-12)
    with pytest.raises(ExportError, match=words):
        build_bundle(Run(run), target, "small", _quiet)
    with open_bundle(target) as left, open_bundle(built[0]) as before:
        assert left.id == before.id
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_output_names_differ_from_input_names(run):
    for graph in graphs(Run(run).trained()):
        assert isinstance(graph, Graph)
        assert graph.output_tensor not in graph.inputs


def test_an_unfinished_or_damaged_or_missing_run_is_refused(run, tmp_path):
    unfinished = shutil.copytree(run, tmp_path / "unfinished")
    (unfinished / "stages" / "sound_vae" / "done.json").unlink()
    damaged = shutil.copytree(run, tmp_path / "damaged")
    (damaged / "stages" / "sound_vae" / "best.ckpt").write_bytes(b"half")
    other = shutil.copytree(run, tmp_path / "other")
    shutil.copy(other / "stages" / "image_to_sound" / "best.ckpt", other / "stages" / "sound_vae")
    half = shutil.copytree(run, tmp_path / "half")
    (half / "exemplars.npz").write_bytes(b"PK")
    spoilt = shutil.copytree(run, tmp_path / "spoilt")
    (spoilt / "config.json").write_text("{}")
    for folder, words in (
        (unfinished, "sound_vae is not finished"),
        (damaged, "best.ckpt: damaged"),
        (other, "not weights of this network"),
        (half, "exemplars.npz: cannot be read"),
        (spoilt, "config.json: preset: Field required"),
        (tmp_path / "nothing", "config.json: cannot be read"),
    ):
        with pytest.raises(RunError, match=words):
            build_bundle(Run(folder), tmp_path / "out", "small", _quiet)
        assert not (tmp_path / "out").exists()


def test_a_place_that_holds_something_else_is_refused_before_any_work(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "one.jpg").write_text("x")
    with pytest.raises(BundleError, match="is not a bundle"):
        build_bundle(Run(tmp_path / "nothing"), tmp_path / "photos", "small", _quiet)
