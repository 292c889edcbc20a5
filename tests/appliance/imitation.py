"""The nets of a bundle, imitated by one matrix each, for a processor that is emulated.

What is seen or heard is made coarser, multiplied by a matrix, and for the way back made finer
again. The matrices are those that come nearest, in least squares, to what the nets answer for
pictures that the project draws. The associators stay as they are: they cost little.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from ytm_bundle.bundle import GOLDEN_NAME, Bundle, open_bundle, writing_bundle
from ytm_bundle.checksums import SUMS_NAME
from ytm_bundle.manifest import GraphName
from ytm_device.camera.visitor import draw_visitor
from ytm_device.engines.onnx import OnnxEngine

Array = npt.NDArray[np.float32]

_COARSER = {"image": 4, "mel": 4}
"""What goes in is averaged over squares of so many pixels or bands."""
_FINER = 2
_RIDGE = {"image": 0.05, "mel": 0.05, "latent": 0.01}
"""Of the mean variance of what goes in, which keeps a matrix from following noise."""
_VISITORS, _CUTS, _FIELDS, _MIXTURES = 80, 4, 120, 150
_BATCH = 16


def imitated(source: Path, out: Path) -> None:
    """Write a bundle to the folder `out`, which answers much as that in the folder `source` does.

    Raises:
        BundleError: `source` is no bundle.
    """
    with open_bundle(source) as bundle, writing_bundle(out) as folder:
        shutil.copytree(
            bundle.folder, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SUMS_NAME)
        )
        pairs = _answers(bundle)
        golden = dict(np.load(folder / GOLDEN_NAME))
        for name, (given, answer) in pairs.items():
            spec = bundle.manifest.graphs[name]
            given_name, answer_name = spec.inputs[0].name, spec.output.name
            path = folder / "graphs" / f"{name}.onnx"
            onnx.save(_matrix_graph(given_name, given, answer_name, answer), str(path))
            asked = golden[f"{name}.in.{given_name}"]
            golden[f"{name}.out.{answer_name}"] = OnnxEngine(path).run(**{given_name: asked})
        np.savez_compressed(folder / GOLDEN_NAME, **golden)
        _forget_quality(folder / "manifest.json")


def _forget_quality(path: Path) -> None:
    """The figures in the manifest are those of the nets."""
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["quality"] = {}
    path.write_text(json.dumps(manifest), encoding="utf-8")


def _answers(bundle: Bundle) -> dict[GraphName, tuple[Array, Array]]:
    """What goes into each net, and what comes out; batch first."""
    rng = np.random.default_rng(0)
    pictures = _pictures(bundle, rng)
    seen = _run(bundle, "image_encoder", image=pictures)
    mixtures = _mixtures(seen, rng)
    heard = _run(bundle, "image_to_sound", latent=mixtures, noise=np.zeros_like(mixtures))
    mels = _run(bundle, "sound_decoder", latent=heard)
    return {
        "image_encoder": (pictures, seen),
        "image_decoder": (mixtures, _run(bundle, "image_decoder", latent=mixtures)),
        "sound_encoder": (mels, _run(bundle, "sound_encoder", mel=mels)),
        "sound_decoder": (heard, mels),
    }


def _pictures(bundle: Bundle, rng: np.random.Generator) -> Array:
    """Cuts of the stills, a drawn visitor, and soft fields of colour: (n, 3, h, w) in [0, 1]."""
    spec = bundle.manifest.image
    size = (spec.width, spec.height)
    drawn = [draw_visitor(t_s / 2, *size) for t_s in range(_VISITORS)]
    for still in bundle.replay().images:
        for _ in range(_CUTS):
            side = int(rng.integers(spec.height // 2, spec.height + 1))
            top, left = rng.integers(0, (spec.height - side + 1, spec.width - side + 1))
            drawn.append(cv2.resize(still[top : top + side, left : left + side], size))
    for _ in range(_FIELDS):
        field = rng.uniform(0, 255, (*rng.integers(2, 8, 2), 3))
        soft = cv2.resize(field, size, interpolation=cv2.INTER_CUBIC)
        drawn.append(np.clip(soft, 0, 255).astype(np.uint8))
    return np.asarray(np.stack(drawn).transpose(0, 3, 1, 2) / np.float32(255), np.float32)


def _mixtures(latents: Array, rng: np.random.Generator) -> Array:
    """Latents (n, d), and more between and around them."""
    one, other = latents[rng.integers(0, len(latents), (2, _MIXTURES))]
    around = 0.3 * latents.std(axis=0) * rng.standard_normal(one.shape)
    return np.concatenate([latents, 0.6 * one + 0.4 * other + around]).astype(np.float32)


def _run(bundle: Bundle, name: GraphName, **inputs: Array) -> Array:
    engine = OnnxEngine(bundle.graph_path(name))
    count = len(next(iter(inputs.values())))
    batches = [slice(begin, begin + _BATCH) for begin in range(0, count, _BATCH)]
    return np.concatenate(
        [engine.run(**{key: value[each] for key, value in inputs.items()}) for each in batches]
    )


def _matrix_graph(
    given_name: str, given: Array, answer_name: str, answer: Array
) -> onnx.ModelProto:
    """The graph of the matrix that makes `answer` of `given`, both batch first."""
    shapes = {given_name: given.shape[1:], answer_name: answer.shape[1:]}
    made = _encoder if answer_name == "latent" else _decoder
    nodes, constants = made(given_name, given, answer_name, answer)
    ports = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", *shape])
        for name, shape in shapes.items()
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, answer_name, ports[:1], ports[1:], initializers)
    opset = helper.make_opsetid("", 18)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    return model


_Graph = tuple[list[onnx.NodeProto], dict[str, npt.NDArray[np.generic]]]


def _encoder(given_name: str, given: Array, answer_name: str, answer: Array) -> _Graph:
    side = _COARSER[given_name]
    planes = given.reshape(len(given), -1, *given.shape[-2:])
    weights, bias = _fitted(_pooled(planes, side), answer, _RIDGE[given_name])
    shape = np.array([-1, *planes.shape[1:]])
    nodes = [
        helper.make_node("Reshape", [given_name, "shape"], ["planes"]),
        helper.make_node(
            "AveragePool", ["planes"], ["coarse"], kernel_shape=[side] * 2, strides=[side] * 2
        ),
        helper.make_node("Flatten", ["coarse"], ["flat"]),
        helper.make_node("Gemm", ["flat", "weights", "bias"], [answer_name]),
    ]
    return nodes, {"shape": shape, "weights": weights, "bias": bias}


def _decoder(given_name: str, given: Array, answer_name: str, answer: Array) -> _Graph:
    planes = answer.reshape(len(answer), -1, *answer.shape[-2:])
    count, height, width = planes.shape[1:]
    weights, bias = _fitted(given, _pooled(planes, _FINER), _RIDGE[given_name])
    nodes = [
        helper.make_node("Gemm", [given_name, "weights", "bias"], ["flat"]),
        helper.make_node("Clip", ["flat", "zero", "one"], ["clipped"]),
        helper.make_node("Reshape", ["clipped", "coarse_shape"], ["coarse"]),
        helper.make_node("Resize", ["coarse", "", "scales"], ["fine"], mode="linear"),
        helper.make_node("Reshape", ["fine", "shape"], [answer_name]),
    ]
    return nodes, {
        "weights": weights,
        "bias": bias,
        "zero": np.array(0, np.float32),
        "one": np.array(1, np.float32),
        "coarse_shape": np.array([-1, count, height // _FINER, width // _FINER]),
        "scales": np.array([1, 1, _FINER, _FINER], np.float32),
        "shape": np.array([-1, *answer.shape[1:]]),
    }


def _pooled(planes: Array, side: int) -> Array:
    """(n, planes, h, w) averaged over squares, (n, all of them)."""
    count, depth, height, width = planes.shape
    squares = planes.reshape(count, depth, height // side, side, width // side, side)
    return np.asarray(squares.mean((3, 5)).reshape(count, -1), np.float32)


def _fitted(given: Array, answer: Array, ridge: float) -> tuple[Array, Array]:
    """Weights (inputs, outputs) and bias (outputs,): least squares with a ridge."""
    given_mean, answer_mean = given.mean(0), answer.mean(0)
    centred = (given - given_mean).astype(np.float64)
    gram = centred @ centred.T
    gram += ridge * np.trace(gram) / len(gram) * np.eye(len(gram))
    weights = centred.T @ np.linalg.solve(gram, answer - answer_mean)
    bias = answer_mean - given_mean @ weights
    return weights.astype(np.float32), bias.astype(np.float32)
