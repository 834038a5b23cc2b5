"""MediaPipe's face mesh, a TensorFlow Lite file, written as ONNX without TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from inference.pipeline.builtin.onnx_edit import IR_VERSION, OPSET, prelu_nodes
from inference.pipeline.errors import ModelMismatchError

_OPERATOR_NAMES: Final = {
    code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)
}
_DTYPES: Final = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.INT32: np.int32,
}
_NHWC_TO_NCHW: Final = [0, 3, 1, 2]
_OUTPUTS: Final = (("points", (468, 3)), ("score", (1,)))


def build_face_mesh(data: bytes) -> onnx.ModelProto:
    """Convert ``face_landmark.tflite``.

    The result takes ``image`` (N, 3, 192, 192) float32 RGB 0..1 and gives ``points``
    (N, 468, 3) float32 in crop pixels and ``score`` (N, 1) float32, a logit.

    Raises:
        ModelMismatchError: the file uses an operator or a shape that this model does not have.
    """
    return _Converter(data).convert()


class _Converter:
    """Walks the operators of the one subgraph in order and emits their ONNX counterparts."""

    def __init__(self, data: bytes) -> None:
        self._model = tflite.Model.GetRootAsModel(data, 0)
        self._graph = self._model.Subgraphs(0)
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self._names: dict[int, str] = {}
        self._emitters: dict[str, Callable[[Any, list[int]], str]] = {
            "CONV_2D": self._emit_convolution,
            "DEPTHWISE_CONV_2D": self._emit_depthwise,
            "PRELU": self._emit_prelu,
            "ADD": self._emit_add,
            "MAX_POOL_2D": self._emit_max_pool,
            "PAD": self._emit_pad,
            "RESHAPE": self._emit_flatten,
        }

    def convert(self) -> onnx.ModelProto:
        """Write the whole graph: ``image`` (N, 3, H, W) RGB 0..1 to ``points`` and ``score``."""
        source = self._graph.Inputs(0)
        _, height, width, channels = self._shape(source)
        self._names[source] = "image"
        for index in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(index)
            emit = self._emitters.get(self._operator_name(operator))
            if emit is None:
                raise ModelMismatchError(f"operator {self._operator_name(operator)} is not known")
            inputs = operator.InputsAsNumpy().tolist()
            self._names[operator.Outputs(0)] = emit(operator, inputs)
        outputs = [
            self._emit_output(tensor, name, shape)
            for tensor, (name, shape) in zip(
                self._graph.OutputsAsNumpy().tolist(), _OUTPUTS, strict=True
            )
        ]
        image = helper.make_tensor_value_info(
            "image", TensorProto.FLOAT, ["N", channels, height, width]
        )
        graph = helper.make_graph(self._nodes, "face_mesh_468", [image], outputs, self._constants)
        model = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        onnx.checker.check_model(model, full_check=True)
        return model

    def _operator_name(self, operator: Any) -> str:
        code = self._model.OperatorCodes(operator.OpcodeIndex())
        return str(_OPERATOR_NAMES[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())])

    def _shape(self, tensor: int) -> list[int]:
        stored = self._graph.Tensors(tensor)
        return [int(size) for size in stored.ShapeAsNumpy()] if stored.ShapeLength() else []

    def _values(self, tensor: int) -> NDArray[Any]:
        stored = self._graph.Tensors(tensor)
        raw = self._model.Buffers(stored.Buffer()).DataAsNumpy().tobytes()
        return np.frombuffer(raw, _DTYPES[stored.Type()]).reshape(self._shape(tensor))

    def _constant(self, values: NDArray[Any]) -> str:
        name = f"constant_{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def _node(self, kind: str, inputs: Sequence[str], **attributes: Any) -> str:
        name = f"value_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name

    def _activated(self, name: str, activation: int) -> str:
        if activation == tflite.ActivationFunctionType.NONE:
            return name
        if activation == tflite.ActivationFunctionType.RELU:
            return self._node("Relu", [name])
        raise ModelMismatchError(f"fused activation {activation} is not known")

    def _emit_convolution(self, operator: Any, inputs: list[int]) -> str:
        options = _options(operator, tflite.Conv2DOptions)
        weights = self._values(inputs[1]).transpose(_NHWC_TO_NCHW)
        return self._convolve(options, inputs, weights, groups=1)

    def _emit_depthwise(self, operator: Any, inputs: list[int]) -> str:
        options = _options(operator, tflite.DepthwiseConv2DOptions)
        weights = self._values(inputs[1]).transpose(3, 0, 1, 2)
        return self._convolve(options, inputs, weights, groups=weights.shape[0])

    def _convolve(
        self,
        options: Any,
        inputs: list[int],
        weights: NDArray[Any],
        *,
        groups: int,
    ) -> str:
        kernel = list(weights.shape[2:])
        strides = [options.StrideH(), options.StrideW()]
        pads = self._pads(options.Padding(), inputs[0], kernel, strides)
        arguments = [
            self._names[inputs[0]],
            self._constant(weights),
            self._constant(self._values(inputs[2])),
        ]
        result = self._node(
            "Conv", arguments, kernel_shape=kernel, strides=strides, pads=pads, group=groups
        )
        return self._activated(result, options.FusedActivationFunction())

    def _pads(
        self, padding: int, tensor: int, kernel: Sequence[int], strides: Sequence[int]
    ) -> list[int]:
        """TensorFlow's SAME padding made explicit; an odd pixel goes to the bottom or right."""
        if padding == tflite.Padding.VALID:
            return [0, 0, 0, 0]
        before, after = [], []
        for size, extent, stride in zip(self._shape(tensor)[1:3], kernel, strides, strict=True):
            steps = -(-size // stride)
            total = max((steps - 1) * stride + extent - size, 0)
            before.append(total // 2)
            after.append(total - total // 2)
        return before + after

    def _emit_prelu(self, _operator: Any, inputs: list[int]) -> str:
        result = f"value_{len(self._nodes)}"
        nodes, constants = prelu_nodes(
            data=self._names[inputs[0]], result=result, slopes=self._values(inputs[1]).reshape(-1)
        )
        self._nodes.extend(nodes)
        self._constants.extend(constants)
        return result

    def _emit_add(self, operator: Any, inputs: list[int]) -> str:
        total = self._node("Add", [self._names[tensor] for tensor in inputs])
        options = _options(operator, tflite.AddOptions)
        return self._activated(total, options.FusedActivationFunction())

    def _emit_max_pool(self, operator: Any, inputs: list[int]) -> str:
        options = _options(operator, tflite.Pool2DOptions)
        kernel = [options.FilterHeight(), options.FilterWidth()]
        strides = [options.StrideH(), options.StrideW()]
        pads = self._pads(options.Padding(), inputs[0], kernel, strides)
        pooled = self._node(
            "MaxPool", [self._names[inputs[0]]], kernel_shape=kernel, strides=strides, pads=pads
        )
        return self._activated(pooled, options.FusedActivationFunction())

    def _emit_pad(self, _operator: Any, inputs: list[int]) -> str:
        before_after = self._values(inputs[1])[_NHWC_TO_NCHW]
        pads = self._constant(before_after.T.reshape(-1).astype(np.int64))
        return self._node("Pad", [self._names[inputs[0]], pads], mode="constant")

    def _emit_flatten(self, _operator: Any, inputs: list[int]) -> str:
        rows = self._node("Transpose", [self._names[inputs[0]]], perm=[0, 2, 3, 1])
        shape = self._constant(np.asarray([0, -1], dtype=np.int64))
        return self._node("Reshape", [rows, shape])

    def _emit_output(self, tensor: int, name: str, shape: tuple[int, ...]) -> onnx.ValueInfoProto:
        if np.prod(self._shape(tensor)) != np.prod(shape):
            raise ModelMismatchError(f"output {name} is {self._shape(tensor)}, not {shape}")
        target = self._constant(np.asarray([0, *shape], dtype=np.int64))
        self._nodes.append(helper.make_node("Reshape", [self._names[tensor], target], [name]))
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *shape])


def _options(operator: Any, kind: Any) -> Any:
    stored = operator.BuiltinOptions()
    options = kind()
    options.Init(stored.Bytes, stored.Pos)
    return options
