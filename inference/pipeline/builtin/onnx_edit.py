"""Rewrites of vendor ONNX files that change no result: folding, free dimensions, PRelu."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from inference.pipeline.types import Floats

OPSET = 13
IR_VERSION = 8
_RESHAPE_RANK = 3


def build_yunet(data: bytes) -> onnx.ModelProto:
    """YuNet with plain float weights and free batch, height and width.

    The shipped int8 file stores biases in a form that ONNX Runtime refuses to run.
    """
    model = _fold_quantised_weights(onnx.load_from_string(data))
    for tensor in model.graph.initializer:
        _free_reshape_batch(tensor)
    _free_dimensions(model.graph.input[0], {0: "N", 2: "H", 3: "W"})
    for output in model.graph.output:
        _free_dimensions(output, {0: "N", 1: f"A_{output.name}"})
    return _finish(model)


def build_sface(data: bytes) -> onnx.ModelProto:
    """SFace with plain float weights, a free batch and fast activations.

    The shipped int8 file lists its weights as graph inputs, so it cannot be run as it is.
    """
    model = _fold_quantised_weights(onnx.load_from_string(data))
    _free_dimensions(model.graph.input[0], {0: "N"})
    _free_dimensions(model.graph.output[0], {0: "N"})
    _split_prelu(model.graph)
    return _finish(model)


def prelu_nodes(
    *, data: str, result: str, slopes: Floats
) -> tuple[list[onnx.NodeProto], list[onnx.TensorProto]]:
    """PRelu as ``a*x + (1-a)*relu(x)``: equal for every slope, also above 1 and below 0.

    ONNX Runtime has no blocked PRelu kernel for the CPU; this form is two to three times faster
    because the tensor keeps its layout. ``slopes`` is float32, one value per channel.
    """
    a = slopes.reshape(1, -1, 1, 1).astype(np.float32)
    base = result.replace("/", "_")
    kept, rest, relu, left, right = (f"{base}.{part}" for part in ("a", "1-a", "relu", "l", "r"))
    nodes = [
        helper.make_node("Relu", [data], [relu]),
        helper.make_node("Mul", [data, kept], [left]),
        helper.make_node("Mul", [relu, rest], [right]),
        helper.make_node("Add", [left, right], [result]),
    ]
    constants = [
        numpy_helper.from_array(a, kept),
        numpy_helper.from_array(np.float32(1) - a, rest),
    ]
    return nodes, constants


def _fold_quantised_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Replace every dequantised constant, and reshapes of one, by its float32 values."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    folded: dict[str, NDArray[np.generic]] = {}
    kept: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and all(name in stored for name in node.input):
            folded[node.output[0]] = _dequantise(node, stored)
        elif node.op_type == "Reshape" and node.input[0] in folded:
            shape = numpy_helper.to_array(stored[node.input[1]])
            folded[node.output[0]] = folded[node.input[0]].reshape(shape)
        else:
            kept.append(node)
    used = {name for node in kept for name in node.input}
    constants = [tensor for tensor in graph.initializer if tensor.name in used]
    constants += [numpy_helper.from_array(v, name) for name, v in folded.items() if name in used]
    constant_names = {tensor.name for tensor in constants}
    inputs = [i for i in graph.input if i.name in used and i.name not in constant_names]
    replacements = ((graph.node, kept), (graph.initializer, constants), (graph.input, inputs))
    for field, values in replacements:
        del field[:]
        field.extend(values)
    del graph.value_info[:]
    return model


def _dequantise(
    node: onnx.NodeProto, stored: Mapping[str, onnx.TensorProto]
) -> NDArray[np.float32]:
    """(q - zero_point) * scale, per tensor, per channel or per block along one axis."""
    values, scale, zero = (numpy_helper.to_array(stored[name]) for name in node.input)
    attributes = {attribute.name: attribute.i for attribute in node.attribute}
    axis, block = attributes.get("axis", 1), attributes.get("block_size", 0)
    if block:
        index = np.arange(values.shape[axis]) // block
        # A bias shorter than its block carries one scale for the whole block.
        index = np.minimum(index, scale.shape[axis] - 1)
        scale, zero = scale.take(index, axis=axis), zero.take(index, axis=axis)
    elif scale.size > 1:
        shape = [-1 if dim == axis else 1 for dim in range(values.ndim)]
        scale, zero = scale.reshape(shape), zero.reshape(shape)
    difference = values.astype(np.float32) - zero.astype(np.float32)
    return np.asarray(difference * scale, dtype=np.float32)


def _free_reshape_batch(tensor: onnx.TensorProto) -> None:
    """Turn the reshape target [1, -1, k] into [0, -1, k]: 0 copies the batch size."""
    if tensor.data_type != onnx.TensorProto.INT64 or list(tensor.dims) != [_RESHAPE_RANK]:
        return
    shape = numpy_helper.to_array(tensor).copy()
    if shape[0] == 1 and shape[1] == -1:
        shape[0] = 0
        tensor.CopyFrom(numpy_helper.from_array(shape, tensor.name))


def _free_dimensions(value: onnx.ValueInfoProto, names: Mapping[int, str]) -> None:
    dimensions = value.type.tensor_type.shape.dim
    for index, name in names.items():
        dimensions[index].ClearField("dim_value")
        dimensions[index].dim_param = name


def _split_prelu(graph: onnx.GraphProto) -> None:
    stored = {tensor.name: tensor for tensor in graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in graph.node:
        if node.op_type != "PRelu":
            nodes.append(node)
            continue
        slopes = numpy_helper.to_array(stored[node.input[1]]).reshape(-1)
        plain, constants = prelu_nodes(data=node.input[0], result=node.output[0], slopes=slopes)
        nodes.extend(plain)
        graph.initializer.extend(constants)
    used = {name for node in nodes for name in node.input}
    constants_used = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(constants_used)


def _finish(model: onnx.ModelProto) -> onnx.ModelProto:
    del model.opset_import[:]
    model.opset_import.append(helper.make_opsetid("", OPSET))
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model)
    return model
