"""Engines that ONNX Runtime made of a bundle's graphs, where those for a GPU would lie."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from ytm_bundle.bundle import Bundle
from ytm_bundle.engines import (
    REPORT_NAME,
    EngineKey,
    EngineReport,
    GraphReport,
    SoundWay,
    writing_engines,
)
from ytm_device.engines.onnx import optimised
from ytm_device.engines.platform import onnx_key


def build_engines(
    bundle: Bundle,
    place: Path,
    *,
    key: EngineKey | None = None,
    instead: Mapping[str, bytes] | None = None,
    sound: SoundWay | None = None,
) -> Path:
    """Write engines for `bundle` and this machine; the folder they are in.

    Args:
        bundle: whose graphs.
        place: such as `/data/ytm/engines`.
        key: under which they are written, if under another.
        instead: some engines as they are not made.
        sound: what is said to have been measured.
    """
    key = key or onnx_key(bundle)
    reports = []
    with writing_engines(place, key) as folder:
        for name in bundle.manifest.graphs:
            engine = (instead or {}).get(name) or optimised(bundle.graph_path(name))
            (folder / f"{name}.engine").write_bytes(engine)
            reports.append(
                GraphReport(
                    name=name,
                    size_bytes=len(engine),
                    build_s=0,
                    error=0,
                    tolerance=bundle.manifest.graphs[name].tolerance,
                    latency_ms=0,
                )
            )
        report = EngineReport(
            backend=key.backend,
            version=key.version,
            built={},
            graphs=tuple(reports),
            sound=sound,
        )
        (folder / REPORT_NAME).write_text(report.model_dump_json(), encoding="utf-8")
    return place / key.folder


def write_graph_with_state(path: Path) -> None:
    """A graph that keeps nothing itself: `hop` = `power` + the sum of `past`, which it doubles."""
    info, node = helper.make_tensor_value_info, helper.make_node
    graph = helper.make_graph(
        [
            node("ReduceSum", ["past"], ["sum"], keepdims=0),
            node("Add", ["power", "sum"], ["hop"]),
            node("Add", ["past", "past"], ["next_past"]),
        ],
        "inverter",
        [info("power", TensorProto.FLOAT, [1, 4]), info("past", TensorProto.FLOAT, [1, 2, 3])],
        [info("hop", TensorProto.FLOAT, [1, 4]), info("next_past", TensorProto.FLOAT, [1, 2, 3])],
    )
    opset = helper.make_opsetid("", 17)
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), str(path))
