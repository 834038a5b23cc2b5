"""A small expression layer over ONNX, so that a graph can be written as formulas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Union

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

OPSET: Final = 17
IR_VERSION: Final = 8
#: Constant arrays are rounded to this many decimals before they become float32. Processors differ
#: in the last bits of exp, arctan and matrix products; the file must be the same everywhere.
STABLE_DECIMALS: Final = 6

Operand = Union["Value", NDArray[Any], float]


class Graph:
    """Collects nodes and constants; every ``Value`` belongs to one graph."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._inputs: list[onnx.ValueInfoProto] = []
        self._outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT) -> Value:
        """Declare an input."""
        self._inputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))
        return Value(self, name)

    def output(
        self, name: str, value: Value, shape: Sequence[int | str], dtype: int = TensorProto.FLOAT
    ) -> None:
        """Declare an output that carries ``value``, which has this element type."""
        self._nodes.append(helper.make_node("Identity", [value.name], [name]))
        self._outputs.append(helper.make_tensor_value_info(name, dtype, list(shape)))

    def floats(self, values: NDArray[Any] | float) -> Value:
        """A float32 constant; arrays are rounded so that they are equal on every processor."""
        if not isinstance(values, np.ndarray):
            return self.constant(np.asarray(values, dtype=np.float32))
        rounded = np.round(np.asarray(values, dtype=np.float64), STABLE_DECIMALS)
        # Adding zero turns -0.0 into 0.0, whose sign could differ too.
        return self.constant((rounded + 0.0).astype(np.float32))

    def ints(self, *values: int) -> Value:
        """A one-dimensional int64 constant."""
        return self.constant(np.asarray(values, dtype=np.int64))

    def constant(self, values: NDArray[Any]) -> Value:
        """A constant of exactly these values and this type."""
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return Value(self, name)

    def apply(self, kind: str, *operands: Operand | None, **attributes: Any) -> Value:
        """Add one node with one output; ``None`` leaves an optional input out."""
        (result,) = self._emit(kind, operands, 1, attributes)
        return result

    def split(self, value: Value, parts: int, *, axis: int) -> list[Value]:
        """Cut ``value`` into ``parts`` equal pieces along ``axis``."""
        return self._emit("Split", [value], parts, {"axis": axis})

    def concat(self, *values: Value, axis: int) -> Value:
        """Join along ``axis``."""
        return self.apply("Concat", *values, axis=axis)

    def model(self, name: str) -> onnx.ModelProto:
        """The finished and checked model."""
        graph = helper.make_graph(self._nodes, name, self._inputs, self._outputs, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _emit(
        self,
        kind: str,
        operands: Sequence[Operand | None],
        output_count: int,
        attributes: dict[str, Any],
    ) -> list[Value]:
        inputs = ["" if operand is None else self._name(operand) for operand in operands]
        outputs = [f"value_{len(self._nodes)}_{index}" for index in range(output_count)]
        self._nodes.append(helper.make_node(kind, inputs, outputs, **attributes))
        return [Value(self, name) for name in outputs]

    def _name(self, operand: Operand) -> str:
        return operand.name if isinstance(operand, Value) else self.floats(operand).name


@dataclass(frozen=True, slots=True)
class Value:
    """A tensor in a graph; arithmetic on it adds nodes."""

    graph: Graph
    name: str

    def __add__(self, other: Operand) -> Value:
        return self.graph.apply("Add", self, other)

    def __radd__(self, other: Operand) -> Value:
        return self.graph.apply("Add", other, self)

    def __sub__(self, other: Operand) -> Value:
        return self.graph.apply("Sub", self, other)

    def __rsub__(self, other: Operand) -> Value:
        return self.graph.apply("Sub", other, self)

    def __mul__(self, other: Operand) -> Value:
        return self.graph.apply("Mul", self, other)

    def __rmul__(self, other: Operand) -> Value:
        return self.graph.apply("Mul", other, self)

    def __truediv__(self, other: Operand) -> Value:
        return self.graph.apply("Div", self, other)

    def __matmul__(self, other: Operand) -> Value:
        return self.graph.apply("MatMul", self, other)

    def __neg__(self) -> Value:
        return self.graph.apply("Neg", self)

    def sqrt(self) -> Value:
        """Element-wise square root."""
        return self.graph.apply("Sqrt", self)

    def clip(self, low: float, high: float) -> Value:
        """Limit to ``low..high``."""
        return self.graph.apply("Clip", self, low, high)

    def ramp(self, start: float, end: float) -> Value:
        """0 at ``start``, 1 at ``end``, straight between, limited to 0..1."""
        return ((self - start) * (1 / (end - start))).clip(0.0, 1.0)

    def smooth(self) -> Value:
        """``3x^2 - 2x^3``, which has no kink at 0 and 1."""
        return self * self * (3.0 - self * 2.0)

    def total(self, *axes: int) -> Value:
        """Sum over ``axes``, which stay as length 1."""
        return self.graph.apply("ReduceSum", self, self.graph.ints(*axes), keepdims=1)

    def maximum(self, axis: int) -> Value:
        """Largest value over ``axis``, which stays as length 1."""
        return self.graph.apply("ReduceMax", self, axes=[axis], keepdims=1)

    def part(self, start: int, stop: int, *, axis: int) -> Value:
        """The slice ``start:stop`` of ``axis``."""
        ints = self.graph.ints
        return self.graph.apply("Slice", self, ints(start), ints(stop), ints(axis))

    def take(self, rows: Operand, *, axis: int) -> Value:
        """Rows of ``axis`` by integer index."""
        return self.graph.apply("Gather", self, rows, axis=axis)

    def transpose(self, *order: int) -> Value:
        """Reorder the axes."""
        return self.graph.apply("Transpose", self, perm=list(order))

    def reshape(self, *shape: int) -> Value:
        """New shape; 0 keeps a size, -1 is inferred."""
        return self.graph.apply("Reshape", self, self.graph.ints(*shape))

    def cast(self, dtype: int) -> Value:
        """Convert the element type."""
        return self.graph.apply("Cast", self, to=dtype)

    def enlarge(self, factor: float) -> Value:
        """Scale the last two of four axes up, bilinear, pixel centres aligned."""
        scales = np.asarray([1, 1, factor, factor], dtype=np.float32)
        return self.graph.apply(
            "Resize",
            self,
            None,
            self.graph.constant(scales),
            mode="linear",
            coordinate_transformation_mode="half_pixel",
        )

    def box_mean(self, size: int, *, stride: int = 1) -> Value:
        """Mean over ``size`` x ``size`` px; at stride 1 the size is odd and kept."""
        margin = size // 2 if stride == 1 else 0
        return self.graph.apply(
            "AveragePool",
            self,
            kernel_shape=[size, size],
            strides=[stride, stride],
            pads=[margin] * 4,
            count_include_pad=0,
        )

    def convolve(
        self, weights: NDArray[Any], *, groups: int = 1, pads: Sequence[int] = (0, 0, 0, 0)
    ) -> Value:
        """Two-dimensional convolution with constant weights."""
        return self.graph.apply("Conv", self, weights, group=groups, pads=list(pads))
