"""A run becomes a bundle: graphs, mel matrix, golden vectors, replay, manifest, digests."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ytm_build.graphs import Graph, graphs, write_onnx
from ytm_build.inverter_export import write_inverter
from ytm_bundle.bundle import (
    GOLDEN_NAME,
    MANIFEST_NAME,
    MEL_NAME,
    REPLAY_NAME,
    check_writable,
    writing_bundle,
)
from ytm_bundle.errors import ExportError
from ytm_bundle.manifest import (
    INVERTER,
    GraphName,
    GraphSpec,
    Manifest,
    ReplaySpec,
    SoundSpec,
    StreamInversion,
    TensorSpec,
)
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.sound.loudness import integrated_lufs
from ytm_training.learn.quality import PICTURE_DISTANCE
from ytm_training.learn.run import Associator, Exemplars, MaterialRecord, Networks, Run
from ytm_training.learn.showing import mel_matrices
from ytm_training.learn.tensors import (
    mels_to_tensor,
    pictures_to_tensor,
    tensor_to_mels,
    tensor_to_pictures,
)

FLOAT32_TOLERANCE = 1e-5
FLOAT16_TOLERANCE = 5e-3
CHECKED = 8
"""Training segments that every graph is compared on."""
KEPT = 2
"""How many of them the bundle keeps as golden vectors."""
REPLAY_DWELL_S = 6.0
SUDDEN_SHARE = 0.35
"""Of the distance between two pictures of the training set: before a camera, a gesture goes
farther within a quarter of a second, and a talking face does not."""

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class GraphReport:
    """How far one graph is from what it was made from, as relative L2 distance."""

    name: GraphName
    float32_error: float
    """Float32 graph in ONNX Runtime against torch; of `inverter`, against the NumPy reference."""
    float16_error: float
    """Shipped graph (float16 body) against the float32 graph; of `inverter`, which is shipped in
    float32, 0."""
    size_bytes: int


def relative_distance(found: Array, expected: Array) -> float:
    """Euclidean distance over the length of `expected`."""
    length = max(float(np.linalg.norm(expected)), 1e-12)
    return float(np.linalg.norm(found - expected)) / length


def build_bundle(
    run: Run, out: Path, name: str, report: Callable[[GraphReport], None]
) -> list[GraphReport]:
    """Write the bundle of a finished run to `out`, whole or not at all.

    Args:
        run: finished by ytm-train.
        out: a folder, or a `.ytm` file.
        name: shown by the device.
        report: called with each graph as it is done.

    Raises:
        RunError: the run is not finished or damaged.
        ExportError: a graph is further from its source than allowed.
        BundleError: `out` holds something that is not a bundle.
    """
    check_writable(out)
    networks, material, exemplars = run.trained(), run.material(), run.exemplars()
    answers = _Answers.of(networks, exemplars)
    reports: list[GraphReport] = []
    specs: dict[GraphName, GraphSpec] = {}
    golden: dict[str, Array] = {}
    with writing_bundle(out) as folder:
        (folder / "graphs").mkdir()
        for graph in graphs(networks):
            example = tuple(tensor[:CHECKED] for tensor in answers.inputs[graph.name])
            path = folder / "graphs" / f"{graph.name}.onnx"
            expected = _write_graph(graph, example, path)
            reports.append(_check_graph(graph, example, expected, path))
            report(reports[-1])
            specs[graph.name] = _graph_spec(graph, example, expected)
            for input_name, tensor in zip(graph.inputs, example, strict=True):
                golden[f"{graph.name}.in.{input_name}"] = tensor[:KEPT].numpy()
            golden[f"{graph.name}.out.{graph.output_name}"] = expected[:KEPT]
        if isinstance(material.sound.inversion, StreamInversion):
            reports.append(_add_inverter(folder, material.sound, exemplars, specs, golden))
            report(reports[-1])
        _write_arrays(folder, golden, answers, exemplars, material)
        manifest = Manifest(
            name=name,
            preset=run.config().preset,
            latent_size=run.config().latent_size,
            image=material.image,
            sound=material.sound,
            graphs=specs,
            replay=ReplaySpec(order=tuple(range(len(exemplars.images))), dwell_s=REPLAY_DWELL_S),
            answer_loudness_lufs=_answers_lufs(answers, networks, material.sound),
            sudden_change=SUDDEN_SHARE * run.metrics()[PICTURE_DISTANCE],
            sources=material.credits,
            learned=material.learned,
            quality=run.metrics(),
        )
        (folder / MANIFEST_NAME).write_text(manifest.model_dump_json(indent=1) + "\n")
    return reports


@dataclass(frozen=True)
class _Answers:
    """What the networks say to the exemplars, in torch."""

    inputs: dict[GraphName, tuple[Tensor, ...]]
    """Realistic inputs of every graph, (k, ...) each."""
    reconstructions: npt.NDArray[np.uint8]
    """(k, h, w, 3), RGB."""
    mels: Array
    """(k, n_mels, frames): the exemplars' own sounds, as the sound VAE remembers them."""

    @classmethod
    @torch.no_grad()
    def of(cls, networks: Networks, exemplars: Exemplars) -> _Answers:
        """Ask `networks`."""
        pictures, mels = pictures_to_tensor(exemplars.images), mels_to_tensor(exemplars.mels)
        seen = networks.image_vae.encoder(pictures).mean
        heard = networks.sound_vae.encoder(mels).mean
        return cls(
            inputs={
                "image_encoder": (pictures,),
                "image_to_sound": _with_noise(networks.image_to_sound, seen),
                "sound_to_image": _with_noise(networks.sound_to_image, heard),
                "image_decoder": (seen,),
                "sound_encoder": (mels[:, 0],),
                "sound_decoder": (networks.image_to_sound(seen),),
            },
            reconstructions=tensor_to_pictures(networks.image_vae.decoder(seen)),
            mels=tensor_to_mels(networks.sound_vae.decoder(heard)),
        )


def _with_noise(associator: Associator, latents: Tensor) -> tuple[Tensor, ...]:
    """Inputs of an associator, with some noise if it takes any."""
    if not associator.takes_noise:
        return (latents,)
    random = torch.Generator().manual_seed(0)
    return (latents, torch.randn(latents.shape, generator=random))


@torch.no_grad()
def _answers_lufs(answers: _Answers, networks: Networks, sound: SoundSpec) -> float | None:
    """Loudness of what the mirror answers to the exemplars; None if they are silent."""
    mels = tensor_to_mels(networks.sound_vae.decoder(*answers.inputs["sound_decoder"]))
    return integrated_lufs(sound.unscale(mels), sound, mel_matrices(sound))


def _add_inverter(
    folder: Path,
    sound: SoundSpec,
    exemplars: Exemplars,
    specs: dict[GraphName, GraphSpec],
    golden: dict[str, Array],
) -> GraphReport:
    """Write the graph that streams `sound`; add what manifest and golden vectors say of it.

    Raises:
        ExportError: it is further from the reference than allowed.
    """
    path = folder / "graphs" / f"{INVERTER}.onnx"
    written = write_inverter(path, sound, mel_matrices(sound), exemplars.mels[:CHECKED])
    specs[INVERTER] = written.spec
    golden.update(written.golden)
    return GraphReport(INVERTER, written.error, 0.0, path.stat().st_size)


def _write_graph(graph: Graph, example: tuple[Tensor, ...], path: Path) -> Array:
    """Write the shipped graph to `path`; return what its float32 twin makes of `example`."""
    write_onnx(graph, example, path, half=True)
    with TemporaryDirectory() as folder:
        full = Path(folder) / path.name
        write_onnx(graph, example, full, half=False)
        return _run(full, graph, example)


def _run(path: Path, graph: Graph, example: tuple[Tensor, ...]) -> Array:
    with closing(OnnxEngine(path)) as engine:
        given = zip(graph.inputs, example, strict=True)
        return engine.run(**{name: tensor.numpy() for name, tensor in given})


@torch.no_grad()
def _check_graph(graph: Graph, example: tuple[Tensor, ...], full: Array, path: Path) -> GraphReport:
    """Compare torch, the float32 graph and the shipped graph.

    Raises:
        ExportError: two of them are further apart than allowed.
    """
    report = GraphReport(
        name=graph.name,
        float32_error=relative_distance(full, graph.module(*example).numpy()),
        float16_error=relative_distance(_run(path, graph, example), full),
        size_bytes=path.stat().st_size,
    )
    for kind, error, limit in (
        ("the float32 graph from torch", report.float32_error, FLOAT32_TOLERANCE),
        ("the float16 graph from the float32 graph", report.float16_error, FLOAT16_TOLERANCE),
    ):
        if not error <= limit:
            raise ExportError(
                f"{graph.name}: {kind} is off by {error:.2e} (relative L2), more than"
                f" {limit:.0e}; nothing was written"
            )
    return report


def _graph_spec(graph: Graph, example: tuple[Tensor, ...], output: Array) -> GraphSpec:
    def tensor(name: str, shape: tuple[int, ...]) -> TensorSpec:
        return TensorSpec.model_validate({"name": name, "shape": shape})

    return GraphSpec(
        inputs=tuple(
            tensor(name, tuple(given.shape[1:]))
            for name, given in zip(graph.inputs, example, strict=True)
        ),
        output=tensor(graph.output_name, output.shape[1:]),
        tolerance=FLOAT16_TOLERANCE,
    )


def _write_arrays(
    folder: Path,
    golden: dict[str, Array],
    answers: _Answers,
    exemplars: Exemplars,
    material: MaterialRecord,
) -> None:
    matrices = mel_matrices(material.sound)
    np.savez_compressed(folder / MEL_NAME, forward=matrices.forward, inverse=matrices.inverse)
    np.savez_compressed(folder / GOLDEN_NAME, **golden)  # type: ignore[arg-type]
    np.savez_compressed(
        folder / REPLAY_NAME,
        images=exemplars.images,
        reconstructions=answers.reconstructions,
        mels=answers.mels.astype(np.float16),
    )
