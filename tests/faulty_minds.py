"""Bundles whose engines fail in earnest: ONNX Runtime really hangs, really divides 0 by 0."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ytm_bundle.bundle import writing_bundle
from ytm_bundle.checksums import SUMS_NAME

WHITE_FROM, BLACK_TO = 0.9, 0.03
"""Mean level of a picture that is mostly white, or mostly black."""
FOR_EVER = 2**62
"""Turns of a loop."""
_GRAPH = "image_to_sound"


def with_faults(good: Path, out: Path) -> Path:
    """The bundle `good`, whose `image_to_sound` takes the image, with faults in that graph.

    A mostly white picture it answers never, a mostly black one with what is not a number.
    """
    with writing_bundle(out) as folder:
        shutil.copytree(good, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns(SUMS_NAME))
        path = folder / "graphs" / f"{_GRAPH}.onnx"
        model = onnx.load(str(path))
        _add_faults(model.graph)
        onnx.checker.check_model(model)
        onnx.save(model, str(path))
    return out


def _add_faults(graph: onnx.GraphProto) -> None:
    result = graph.output[0].name
    for node in graph.node:
        node.output[:] = ["clean" if name == result else name for name in node.output]
    constants = {
        "white_from": np.array(WHITE_FROM, np.float32),
        "black_to": np.array(BLACK_TO, np.float32),
        "for_ever": np.array(FOR_EVER, np.int64),
        "no_turn": np.array(0, np.int64),
        "on": np.array(True),
        "nothing": np.array(0, np.float32),
        "one": np.array(1, np.float32),
    }
    graph.initializer.extend(numpy_helper.from_array(v, k) for k, v in constants.items())
    node = helper.make_node
    graph.node.extend(
        [
            node("ReduceMean", ["image"], ["level"], keepdims=0),
            node("Greater", ["level", "white_from"], ["is_white"]),
            node("Where", ["is_white", "for_ever", "no_turn"], ["turns"]),
            node("Loop", ["turns", "on", "clean"], ["turned"], body=same(graph.output[0])),
            node("Less", ["level", "black_to"], ["is_black"]),
            node("Where", ["is_black", "nothing", "one"], ["share"]),
            # 1, or 0/0.
            node("Div", ["share", "share"], ["number"]),
            node("Mul", ["turned", "number"], [result]),
        ]
    )


def same(port: onnx.ValueInfoProto) -> onnx.GraphProto:
    """A turn of the loop, which changes nothing."""
    shape = [each.dim_param or each.dim_value for each in port.type.tensor_type.shape.dim]
    info = helper.make_tensor_value_info
    return helper.make_graph(
        [
            helper.make_node("Identity", ["go_on"], ["still_on"]),
            helper.make_node("Abs", ["carried"], ["positive"]),
            helper.make_node("Sign", ["carried"], ["sign"]),
            helper.make_node("Mul", ["positive", "sign"], ["passed"]),
        ],
        "turn",
        [
            info("index", TensorProto.INT64, []),
            info("go_on", TensorProto.BOOL, []),
            info("carried", TensorProto.FLOAT, shape),
        ],
        [
            info("still_on", TensorProto.BOOL, []),
            info("passed", TensorProto.FLOAT, shape),
        ],
    )
