"""A tiny bundle in the real format: random small weights, 32x32 pictures, ten frames of mel."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from compiled import shared_library
from ytm_bundle.bundle import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MEL_NAME,
    REPLAY_NAME,
    Bundle,
    open_bundle,
    writing_bundle,
)
from ytm_bundle.manifest import (
    GRAPH_NAMES,
    GRAPH_OUTPUTS,
    GrainInversion,
    GraphName,
    GraphSpec,
    ImageSpec,
    Manifest,
    ReplaySpec,
    SoundSpec,
    Source,
    TensorSpec,
)
from ytm_device.engines.onnx import OnnxEngine

LATENT = 8
POOL = 4
IMAGE = ImageSpec(width=32, height=32, fit="crop")
SOUND = SoundSpec(
    analysis_rate_hz=48000,
    playback_rate_hz=48000,
    n_fft=256,
    hop=128,
    n_mels=16,
    frames=10,
    floor_db=-60,
    ceiling_db=20,
    loudness_lufs=-23,
    inversion=GrainInversion(frames=5, iterations=2),
)
INPUTS: dict[GraphName, tuple[str, ...]] = {
    "image_encoder": ("image",),
    "image_to_sound": ("latent",),
    "sound_to_image": ("latent",),
    "image_decoder": ("latent",),
    "sound_encoder": ("mel",),
    "sound_decoder": ("latent",),
}
MakeBundle = Callable[..., Path]


def _manifest(image: ImageSpec, sound: SoundSpec, inputs: dict[GraphName, tuple[str, ...]]):
    shapes = {
        "image": (3, image.height, image.width),
        "mel": sound.mel_shape,
        "latent": (LATENT,),
        "noise": (LATENT,),
    }
    tensors = {name: TensorSpec(name=name, shape=shape) for name, shape in shapes.items()}
    return Manifest(
        name="tiny",
        preset="tests",
        latent_size=LATENT,
        image=image,
        sound=sound,
        graphs={
            name: GraphSpec(
                inputs=tuple(tensors[each] for each in inputs[name]),
                output=tensors[GRAPH_OUTPUTS[name]],
                tolerance=5e-3,
            )
            for name in GRAPH_NAMES
        },
        replay=ReplaySpec(order=(2, 0, 1, 0), dwell_s=2),
        sources=(Source(title="noise", licence="CC0", origin="tests", segments=3),),
    )


def _linear(tensor: TensorSpec, image: ImageSpec, out_size: int, rng: np.random.Generator):
    """Nodes and weights of a linear map of one input; a picture is averaged in blocks first."""
    name, at, size, nodes = tensor.name, tensor.name, int(np.prod(tensor.shape)), []
    if name == "image":
        block = [image.height // POOL, image.width // POOL]
        pool = helper.make_node("AveragePool", [at], ["pool"], kernel_shape=block, strides=block)
        nodes, at, size = [pool], "pool", 3 * POOL * POOL
    nodes.append(helper.make_node("Flatten", [at], [f"{name}_flat"], axis=1))
    nodes.append(helper.make_node("MatMul", [f"{name}_flat", f"{name}_weights"], [f"{name}_term"]))
    weights = rng.normal(0, 4 / np.sqrt(size), (size, out_size)).astype(np.float32)
    return nodes, numpy_helper.from_array(weights, f"{name}_weights")


def _graph(manifest: Manifest, name: GraphName, rng: np.random.Generator) -> onnx.ModelProto:
    """A graph that adds a linear map of each of its inputs."""
    spec = manifest.graphs[name]
    out_size = int(np.prod(spec.output.shape))
    parts = [_linear(tensor, manifest.image, out_size, rng) for tensor in spec.inputs]
    squash = "Identity" if spec.output.name == "latent" else "Sigmoid"
    nodes = [node for nodes, _ in parts for node in nodes] + [
        helper.make_node("Sum", [f"{tensor.name}_term" for tensor in spec.inputs], ["sum"]),
        helper.make_node(squash, ["sum"], ["flat"]),
        helper.make_node("Reshape", ["flat", "shape"], ["result"]),
    ]
    shape = numpy_helper.from_array(np.array([-1, *spec.output.shape], np.int64), "shape")
    graph = helper.make_graph(
        nodes,
        name,
        [_port(tensor.name, tensor.shape) for tensor in spec.inputs],
        [_port("result", spec.output.shape)],
        [*(weights for _, weights in parts), shape],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model


def _port(name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])


def _mel_bank(sound: SoundSpec) -> np.ndarray:
    """(n_mels, bins): triangles evenly spaced in mel, as loud for every band."""
    top = 2595 * np.log10(1 + sound.analysis_rate_hz / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top, sound.n_mels + 2) / 2595) - 1)
    bins = np.linspace(0, sound.analysis_rate_hz / 2, sound.bins)
    up = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    bank = np.maximum(0, np.minimum(up, down)) + 1e-6
    return (bank / bank.sum(axis=1, keepdims=True)).astype(np.float32)


def _golden(folder: Path, manifest: Manifest, rng: np.random.Generator) -> dict[str, np.ndarray]:
    arrays = {}
    for name in GRAPH_NAMES:
        spec = manifest.graphs[name]
        inputs = {t.name: rng.random((2, *t.shape), np.float32) for t in spec.inputs}
        engine = OnnxEngine(folder / "graphs" / f"{name}.onnx")
        arrays[f"{name}.out.{spec.output.name}"] = engine.run(**inputs)
        engine.close()
        arrays |= {f"{name}.in.{key}": value for key, value in inputs.items()}
    return arrays


def write_tiny_bundle(
    path: Path,
    *,
    image: ImageSpec = IMAGE,
    sound: SoundSpec = SOUND,
    inputs: dict[GraphName, tuple[str, ...]] | None = None,
    seed: int = 0,
) -> Path:
    """Write a sound bundle of random weights at `path`; `inputs` changes what some graphs take."""
    rng = np.random.default_rng(seed)
    manifest = _manifest(image, sound, INPUTS | (inputs or {}))
    forward = _mel_bank(sound)
    pictures = (3, image.height, image.width, 3)
    with writing_bundle(path) as folder:
        (folder / "graphs").mkdir()
        for name in GRAPH_NAMES:
            onnx.save(_graph(manifest, name, rng), str(folder / "graphs" / f"{name}.onnx"))
        np.savez(folder / MEL_NAME, forward=forward, inverse=np.linalg.pinv(forward, rcond=1e-6))
        np.savez(
            folder / REPLAY_NAME,
            images=rng.integers(0, 256, pictures, np.uint8),
            reconstructions=rng.integers(0, 256, pictures, np.uint8),
            mels=rng.random((3, *sound.mel_shape), np.float32).astype(np.float16),
        )
        np.savez(folder / GOLDEN_NAME, **_golden(folder, manifest, rng))
        text = manifest.model_dump_json(indent=2)
        (folder / MANIFEST_NAME).write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def make_bundle() -> MakeBundle:
    """`make_bundle(path, image=, sound=, inputs=, seed=)` writes a tiny bundle and gives `path`."""
    return write_tiny_bundle


@pytest.fixture(scope="session")
def tiny_bundle_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny bundle, to be read only: every test shares it."""
    return write_tiny_bundle(tmp_path_factory.mktemp("bundle") / "tiny")


@pytest.fixture(scope="session")
def tiny_bundle(tiny_bundle_path: Path) -> Iterator[Bundle]:
    """The tiny bundle, opened and verified."""
    with open_bundle(tiny_bundle_path) as bundle:
        yield bundle


@pytest.fixture(scope="session")
def card_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sound card of `device/paced_pcm.c`, compiled."""
    if shutil.which("gcc") is None or not Path("/usr/include/alsa/asoundlib.h").exists():
        pytest.skip("needs gcc and libasound2-dev to build a sound card")
    source = Path(__file__).parent / "device/paced_pcm.c"
    return shared_library(source, tmp_path_factory.mktemp("alsa"), "-lasound")
