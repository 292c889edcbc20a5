"""NVIDIA's parser and builder on every graph of both presets, where there is no GPU.

TensorRT for RTX is not TensorRT: it builds for GPUs of desktops, its engines are compiled further
where they run, and none is run here. But it has the same parser, nearly the same interface, and
needs no driver, so that it says whether TensorRT would take our graphs, strongly typed, by the
function that builds on a board. Of what it can build for, capabilities 8.6 and 8.9 stand on either
side of an Orin's 8.7.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from ytm_build.engine.build import build_engines
from ytm_build.engine.builder import Built
from ytm_build.engine.tensorrt import TensorRtBuilder, compiled, strongly_typed
from ytm_build.engine.timing import read_cache
from ytm_build.graphs import graphs, write_onnx
from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import EngineKey, find_engines, timing_cache_path
from ytm_bundle.errors import EngineError
from ytm_device.bundles import DEMO_BUNDLE
from ytm_device.engines.engine import Engine
from ytm_device.engines.onnx import OnnxEngine
from ytm_device.engines.platform import TENSORRT_OPTIONS, onnx_key
from ytm_training.learn.config import PAPER
from ytm_training.learn.run import Run

if importlib.util.find_spec("tensorrt_rtx") is None:
    pytest.skip(
        "tensorrt-rtx is not installed: it comes with make setup, for Linux on x86-64 alone, and"
        f" this is {sys.platform} on {platform.machine()}",
        allow_module_level=True,
    )
import tensorrt_rtx as trt

# Timing caches do nothing in TensorRT for RTX, and it says so.
pytestmark = pytest.mark.filterwarnings("ignore:.*[Tt]iming cache:DeprecationWarning")
CAPABILITIES = ("SM86", "SM89")
PAPER_MEL = (128, 9)
SLOWEST = "inverter"
"""Takes ten seconds: for the second capability only in the long version, `YTM_ALL_ENGINES=1`."""
BUILDS = [
    (path.stem, capability)
    for path in sorted((DEMO_BUNDLE / "graphs").glob("*.onnx"))
    for capability in CAPABILITIES
    if (path.stem, capability) != (SLOWEST, CAPABILITIES[1]) or os.environ.get("YTM_ALL_ENGINES")
]
SHAPES = {"image": (3, 112, 112), "mel": PAPER_MEL, "latent": (PAPER.latent_size,)}


@pytest.fixture(scope="module")
def paper_graphs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The graphs of `paper` in their real size, as a bundle has them; weights as drawn."""
    folder = tmp_path_factory.mktemp("paper")
    torch.manual_seed(0)
    for graph in graphs(Run(folder).untrained(PAPER, PAPER_MEL)):
        example = tuple(torch.rand(2, *SHAPES[name]) for name in graph.inputs)
        write_onnx(graph, example, folder / f"{graph.name}.onnx", half=True)
    return folder


def for_capability(name: str) -> Callable[[trt.IBuilderConfig], None]:
    """Let an engine be for GPUs of a capability, none of which is here."""

    def adjust(config: trt.IBuilderConfig) -> None:
        config.num_compute_capabilities = 1
        assert config.set_compute_capability(getattr(trt.ComputeCapability, name), 0)

    return adjust


def build(graph: Path, capability: str = CAPABILITIES[0], cache: bytes = b"") -> bytes:
    """The engine of a graph for GPUs of a capability."""
    return compiled(trt, graph, TENSORRT_OPTIONS, cache, for_capability(capability)).engine


@pytest.mark.parametrize(("name", "capability"), BUILDS)
def test_every_graph_of_the_demo_bundle_is_built(name: str, capability: str) -> None:
    graph = DEMO_BUNDLE / "graphs" / f"{name}.onnx"
    assert len(build(graph, capability)) > 1000


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_every_graph_of_the_paper_is_built(paper_graphs: Path, capability: str) -> None:
    paths = sorted(paper_graphs.glob("*.onnx"))
    assert len(paths) == 6
    for path in paths:
        assert len(build(path, capability)) > 1000


def one_node(path: Path, operator: str, **attributes: object) -> Path:
    """A graph of one node."""
    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8, size])
        for name, size in (("x", 1), ("y", 2))
    ]
    node = helper.make_node(operator, ["x"], ["y"], name="the_node", **attributes)
    graph = helper.make_graph([node], "graph", ends[:1], ends[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.save(model, str(path))
    return path


def test_what_the_parser_refuses_is_told_by_its_node(tmp_path: Path) -> None:
    graph = one_node(tmp_path / "graph.onnx", "DFT", axis=1)
    with pytest.raises(EngineError, match=r"graph\.onnx: .*node the_node \(DFT\): "):
        build(graph)


def test_what_is_no_graph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "graph.onnx").write_bytes(b"no graph" * 99)
    with pytest.raises(EngineError, match=r"graph\.onnx: TensorRT cannot read this graph"):
        build(tmp_path / "graph.onnx")


def test_the_limit_of_the_workspace_holds_and_a_build_that_fails_says_why() -> None:
    graph = DEMO_BUNDLE / "graphs" / "image_encoder.onnx"
    options = TENSORRT_OPTIONS | {"workspace_mib": "0"}
    with pytest.raises(EngineError, match=r"cannot build this graph \(.*workspace"):
        compiled(trt, graph, options, b"", for_capability(CAPABILITIES[0]))


def test_a_timing_cache_of_another_machine_is_not_used() -> None:
    graph = DEMO_BUNDLE / "graphs" / "image_encoder.onnx"
    assert build(graph, cache=b"of another machine")


def test_networks_are_strongly_typed() -> None:
    builder = trt.Builder(trt.Logger())
    network = builder.create_network(strongly_typed(trt))
    assert network.get_flag(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_where_the_flag_has_gone_none_is_set() -> None:
    class Later:
        class NetworkDefinitionCreationFlag:
            """Of a TensorRT that knows nothing else than strongly typed networks."""

    assert strongly_typed(Later) == 0


class Rtx(TensorRtBuilder):
    """The builder of boards, but for what only a GPU can do: being asked, and running an engine."""

    def __init__(self, graphs: Path) -> None:
        self.name, self.caches, self._graphs = f"TensorRT for RTX {trt.__version__}", [], graphs

    def key(self, bundle: Bundle) -> EngineKey:
        as_on_a_board = {"backend": "tensorrt", "gpu": "Orin", "compute_capability": "8.7"}
        return onnx_key(bundle).model_copy(update=as_on_a_board)

    def build(self, graph: Path, cache: bytes) -> Built:
        self.caches.append(cache)
        return compiled(trt, graph, TENSORRT_OPTIONS, cache, for_capability(CAPABILITIES[0]))

    def load(self, engine: Path) -> Engine:
        name = engine.name.split(".")[1]
        return OnnxEngine(self._graphs / f"{name}.onnx")


def test_a_whole_build_with_its_timing_cache(tiny_bundle: Bundle, tmp_path: Path) -> None:
    builder = Rtx(tiny_bundle.folder / "graphs")
    outcome = build_engines(tiny_bundle, builder, [tmp_path], bool)
    key, report = outcome.engines.key, outcome.engines.report
    assert find_engines([tmp_path], key) == outcome.engines
    assert report.built["by"] == builder.name
    for graph in report.graphs:
        assert graph.size_bytes == outcome.engines.engine_path(graph.name).stat().st_size > 1000
    cache = read_cache(timing_cache_path(tmp_path, key))
    assert builder.caches[0] == b""
    assert cache
    assert builder.caches[1:] == [cache] * (len(report.graphs) - 1)
