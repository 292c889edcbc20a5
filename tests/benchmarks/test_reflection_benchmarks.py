"""What a reflection costs and how large its graphs are, beside networks anybody would take."""

from __future__ import annotations

import itertools
import math
import statistics
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from in_turn import Way, cpu_s_in_turn, ratio
from ytm_build.graphs import Graph, graphs, write_onnx
from ytm_bundle.manifest import GRAPH_NAMES, INVERTER
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.onnx import OnnxEngine
from ytm_training.learn.config import CONTINUOUS
from ytm_training.learn.run import Run

REFLECTION = ("image_encoder", "image_decoder", "image_to_sound", "sound_decoder")
"""The graphs that answer a frame."""
WIDTHS = (32, 64, 128, 256)
HIDDEN = 512
MOST_PARAMETERS = 10_000_000
STEPS = 20
"""Reflections in one turn."""
ROUNDS = 15
SIDE, LATENT = CONTINUOUS.picture.size, CONTINUOUS.latent_size
MEL = (CONTINUOUS.sound.n_mels, CONTINUOUS.sound.frames)
SHAPES = {"image": (3, SIDE, SIDE), "mel": MEL, "latent": (LATENT,), "noise": (LATENT,)}


class _ReferenceEncoder(nn.Module):
    """Four convolutions of stride 2, and a linear layer to the latent."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in zip((3, *WIDTHS[:-1]), WIDTHS, strict=True):
            layers += [nn.Conv2d(inside, outside, 3, stride=2, padding=1), nn.ReLU()]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.mean = nn.Linear(WIDTHS[-1] * (SIDE // 16) ** 2, LATENT)

    def forward(self, image: Tensor) -> Tensor:
        return self.mean(self.body(image))


class _ReferenceDecoder(nn.Module):
    """The mirror image: four transposed convolutions, cut to the size wanted.

    Measured in ONNX Runtime, they take less than half the time of enlarging by nearest neighbours
    ahead of each convolution.
    """

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        self._size = (height, width)
        inner = (WIDTHS[-1], math.ceil(height / 16), math.ceil(width / 16))
        layers: list[nn.Module] = [nn.Linear(LATENT, math.prod(inner)), nn.Unflatten(1, inner)]
        for inside, outside in zip(WIDTHS[::-1], (*WIDTHS[-2::-1], channels), strict=True):
            enlarge = nn.ConvTranspose2d(inside, outside, 3, 2, padding=1, output_padding=1)
            layers += [nn.ReLU(), enlarge]
        self.body = nn.Sequential(*layers)

    def forward(self, latent: Tensor) -> Tensor:
        return self.body(latent)[:, :, : self._size[0], : self._size[1]].clamp(0, 1)


def _reference_associator() -> nn.Module:
    sizes = (LATENT, HIDDEN, HIDDEN, LATENT)
    layers: list[nn.Module] = []
    for inside, outside in itertools.pairwise(sizes):
        layers += [nn.Linear(inside, outside), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def _reference() -> list[Graph]:
    return [
        Graph("image_encoder", _ReferenceEncoder(), ("image",)),
        Graph("image_decoder", _ReferenceDecoder(*SHAPES["image"]), ("latent",)),
        Graph("image_to_sound", _reference_associator(), ("latent",)),
        Graph("sound_decoder", _ReferenceDecoder(1, *MEL), ("latent",)),
    ]


def _untrained() -> list[Graph]:
    torch.manual_seed(0)
    return graphs(Run(Path("nowhere")).untrained(CONTINUOUS, MEL))


def _export(parts: list[Graph], folder: Path, half: bool) -> Path:
    folder.mkdir()
    for graph in parts:
        graph.module.eval()
        example = tuple(torch.rand(2, *SHAPES[name]) for name in graph.inputs)
        write_onnx(graph, example, folder / f"{graph.name}.onnx", half=half)
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of graphs, by what they are."""
    work = tmp_path_factory.mktemp("graphs")
    return {
        "demo bundle": DEMO_BUNDLE / "graphs",
        "continuous": _export(_untrained(), work / "continuous", half=True),
        "continuous, float32": _export(_untrained(), work / "continuous32", half=False),
        "reference": _export(_reference(), work / "reference", half=True),
        "reference, float32": _export(_reference(), work / "reference32", half=False),
    }


def _reflections(folder: Path, closed: ExitStack) -> Way:
    """`STEPS` reflections by the graphs in `folder`, batch 1, one thread."""
    random = np.random.default_rng(0)
    calls = []
    for name in REFLECTION:
        path = folder / f"{name}.onnx"
        ports = onnx.load(path).graph.input
        inputs = {port.name: random.random((1, *SHAPES[port.name]), np.float32) for port in ports}
        calls.append((closed.enter_context(closing(OnnxEngine(path))), inputs))

    def reflect() -> None:
        for _ in range(STEPS):
            for engine, inputs in calls:
                engine.run(**inputs)

    return reflect


@pytest.fixture
def ways(folders: dict[str, Path]) -> Iterator[dict[str, Way]]:
    with ExitStack() as closed:
        yield {name: _reflections(folder, closed) for name, folder in folders.items()}


@pytest.mark.benchmark(group="reflections, ours and the reference's in turn")
def test_a_reflection_over_the_references(
    benchmark: Any, capsys: pytest.CaptureFixture[str], ways: dict[str, Way]
) -> None:
    """The graphs are compared with a reference of the same precision."""
    spent_s = cpu_s_in_turn(benchmark, ways, ROUNDS, warmup_rounds=2)
    with capsys.disabled():
        for name, times_s in spent_s.items():
            other = "reference, float32" if name.endswith("float32") else "reference"
            benchmark.extra_info[name] = found = ratio(times_s, spent_s[other])
            once_ms = 1000 * statistics.median(times_s) / STEPS
            print(f"\n{name}: {once_ms:.1f} ms of one core, {found:.2f} times the {other}", end="")
    assert len(spent_s["continuous"]) == ROUNDS


def _parameters(folder: Path) -> dict[str, int]:
    """Numbers that each graph in `folder` holds; of an inverter nothing was learned."""
    return {
        path.stem: sum(math.prod(one.dims) for one in onnx.load(path).graph.initializer)
        for path in sorted(folder.glob("*.onnx"))
        if path.stem != INVERTER
    }


@pytest.mark.benchmark(group="opening the graphs of a bundle")
@pytest.mark.parametrize("name", ["demo bundle", "continuous"])
def test_the_graphs_stay_small(
    benchmark: Any, capsys: pytest.CaptureFixture[str], folders: dict[str, Path], name: str
) -> None:
    counts = benchmark.pedantic(_parameters, (folders[name],), rounds=1)
    benchmark.extra_info["parameters"] = total = sum(counts.values())
    with capsys.disabled():
        print(f"\n{name}: {total / 1e6:.2f} million parameters", end="")
    assert set(counts) == set(GRAPH_NAMES)
    assert total <= MOST_PARAMETERS
