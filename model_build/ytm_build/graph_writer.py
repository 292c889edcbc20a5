"""Writing an ONNX graph node by node, for computations that no torch module stands for."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 9
"""The oldest that allows opset 18 with every reader that the project meets."""


class GraphWriter:
    """Collects nodes and constants. A tensor is known by its name; shapes are the caller's care."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._initializers: list[onnx.TensorProto] = []

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike = np.float32) -> str:
        """A tensor that is part of the graph; the same values are stored once."""
        array = np.ascontiguousarray(value, dtype).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self._constants[key] = f"constant_{len(self._constants)}"
            self._initializers.append(numpy_helper.from_array(array, name))
        return self._constants[key]

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """A node of one output, whose name is returned; `name` names it, else a number."""
        output = name or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output

    def reshape(self, tensor: str, *shape: int, name: str | None = None) -> str:
        """`tensor` in another shape."""
        return self.add("Reshape", tensor, self.constant(shape, np.int64), name=name)

    def slice(self, tensor: str, start: int, end: int, axis: int) -> str:
        """`tensor` from `start` to `end` (not included) along `axis`."""
        ends = [self.constant([value], np.int64) for value in (start, end, axis)]
        return self.add("Slice", tensor, *ends)

    def sum(self, tensor: str, axis: int) -> str:
        """The sum of `tensor` along `axis`, which goes."""
        return self.add("ReduceSum", tensor, self.constant([axis], np.int64), keepdims=0)

    def model(
        self,
        name: str,
        inputs: dict[str, tuple[int, ...]],
        outputs: dict[str, tuple[int, ...]],
        opset: int,
    ) -> onnx.ModelProto:
        """The finished model, checked; inputs and outputs are float32, of fixed shapes."""
        graph = helper.make_graph(
            self._nodes, name, _ports(inputs), _ports(outputs), self._initializers
        )
        model = helper.make_model(
            graph,
            producer_name="youtube-mirror",
            opset_imports=[helper.make_opsetid("", opset)],
            ir_version=IR_VERSION,
        )
        onnx.checker.check_model(model, full_check=True)
        return model


def _ports(shapes: dict[str, tuple[int, ...]]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
