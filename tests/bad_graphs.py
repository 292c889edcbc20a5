"""Bundles that are whole, with right digests, and whose graphs must not be let in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from faulty_minds import FOR_EVER, same
from ytm_bundle.checksums import write_sums

GRAPH = "sound_decoder"
Spoil = Callable[[Path], None]


def with_sums(spoil: Spoil) -> Spoil:
    """Spoil a bundle's folder, and list the digests of what it holds by then."""

    def spoilt(folder: Path) -> None:
        spoil(folder)
        write_sums(folder)

    return spoilt


def _no_graph(folder: Path) -> None:
    _path(folder).write_bytes(b"no graph at all")


def _path(folder: Path) -> Path:
    return folder / "graphs" / f"{GRAPH}.onnx"


def _ending_in(*nodes: onnx.NodeProto, **constants: np.ndarray) -> Spoil:
    """The graph, whose answer `clean` goes through `nodes`, to `spoilt`."""

    def spoil(folder: Path) -> None:
        model = onnx.load(str(_path(folder)))
        result = model.graph.output[0].name
        for node in model.graph.node:
            node.output[:] = ["clean" if name == result else name for name in node.output]
        for name, value in constants.items():
            model.graph.initializer.append(numpy_helper.from_array(value, name))
        model.graph.node.extend(nodes)
        for node in model.graph.node:
            node.output[:] = [result if name == "spoilt" else name for name in node.output]
        onnx.save(model, str(_path(folder)))

    return spoil


def _endless(folder: Path) -> None:
    turn = same(onnx.load(str(_path(folder))).graph.output[0])
    _ending_in(
        helper.make_node("Loop", ["for_ever", "on", "clean"], ["spoilt"], body=turn),
        for_ever=np.array(FOR_EVER, np.int64),
        on=np.array(True),
    )(folder)


_crashing = _ending_in(
    helper.make_node("Cast", ["clean"], ["whole"], to=onnx.TensorProto.INT64),
    helper.make_node("Min", ["whole", "least"], ["negative"]),
    # Has no answer in 64 bits: the processor raises a signal that nobody catches.
    helper.make_node("Div", ["negative", "minus_one"], ["positive"]),
    helper.make_node("Cast", ["positive"], ["spoilt"], to=onnx.TensorProto.FLOAT),
    least=np.array(np.iinfo(np.int64).min, np.int64),
    minus_one=np.array(-1, np.int64),
)

SPOILS: dict[str, Spoil] = {
    "no graph": with_sums(_no_graph),
    "not a number": with_sums(
        _ending_in(
            helper.make_node("Mul", ["clean", "no_number"], ["spoilt"]),
            no_number=np.array(np.nan, np.float32),
        )
    ),
    "off the golden vectors": with_sums(
        _ending_in(
            helper.make_node("Mul", ["clean", "more"], ["spoilt"]), more=np.array(1.1, np.float32)
        )
    ),
    "a crash": with_sums(_crashing),
}
"""How a bundle is spoilt, by what is wrong with it then."""
ENDLESS = with_sums(_endless)
"""The check of this one takes all the time that it may."""
