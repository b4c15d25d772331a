"""Statistics of the graph of a model file: layers by type and precision, weights, GFLOP per window."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import onnx

from glandseg.core.errors import BadInputError, shorten

Shape: TypeAlias = tuple[int, ...]

_INTEGER = ("ConvInteger", "MatMulInteger", "QLinearConv", "QLinearMatMul")
_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", *_INTEGER)
_QUANTISERS = ("QuantizeLinear", "DequantizeLinear")
_FLOATS = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.BFLOAT16)
_NAMES = {"float": "float32"}


@dataclass(frozen=True, kw_only=True)
class Layers:
    """The layers of one type and precision.

    Attributes:
        kind: Type of layer in ONNX.
        precision: Number type in which they compute: "float32", "float16", "int8", ...
        count: Number of layers.
        gflop: 10^9 operations of all of them per window; a multiplication and an addition are two.
    """

    kind: str
    precision: str
    count: int
    gflop: float


@dataclass(frozen=True, kw_only=True)
class GraphStats:
    """The statistics of a graph.

    Attributes:
        opset: Version of ONNX's own operators.
        weights: Number of trained weights.
        layers: Layers by type and precision; by GFLOP, then by count, descending.
    """

    opset: int
    weights: int
    layers: tuple[Layers, ...]

    @property
    def gflop(self) -> float:
        """10^9 operations per window, in convolutions and matrix products."""
        return sum(layers.gflop for layers in self.layers)


def count_graph(path: Path) -> GraphStats:
    """Count the layers, weights and operations of a model file for one window.

    Raises:
        BadInputError: The file has no graph whose shapes can be inferred.
    """
    try:
        model = onnx.load(path)
        _fix_batch(model)
        model = onnx.shape_inference.infer_shapes(model, strict_mode=True, data_prop=True)
    except Exception as error:  # protobuf and ONNX share no base
        raise BadInputError(
            f"{path}: its graph cannot be read ({shorten(error)}). Export it again."
        ) from None
    return GraphStats(
        opset=max((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), default=0),
        weights=_count_weights(model.graph),
        layers=tuple(_count_layers(model.graph)),
    )


def _fix_batch(model: Any) -> None:
    """Set the batch to 1, and clear the shapes that depend on it."""
    for value in model.graph.input:
        value.type.tensor_type.shape.dim[0].dim_value = 1
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    model.graph.ClearField("value_info")


def _count_layers(graph: Any) -> Iterator[Layers]:
    types = {value.name: value.type.tensor_type for value in (*graph.input, *graph.value_info, *graph.output)}
    shapes = {name: tuple(dim.dim_value for dim in kind.shape.dim) for name, kind in types.items()}
    elements = {name: kind.elem_type for name, kind in types.items()}
    for tensor in graph.initializer:
        shapes[tensor.name], elements[tensor.name] = tuple(tensor.dims), tensor.data_type
    dequantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    counts: Counter[tuple[str, str]] = Counter()
    flops: Counter[tuple[str, str]] = Counter()
    for node in graph.node:
        key = node.op_type, _name_precision(node, elements, dequantised)
        counts[key] += 1
        flops[key] += _count_flops(node, shapes)
    for key in sorted(counts, key=lambda key: (-flops[key], -counts[key], key)):
        yield Layers(kind=key[0], precision=key[1], count=counts[key], gflop=flops[key] / 1e9)


def _name_precision(node: Any, elements: dict[str, int], dequantised: set[str]) -> str:
    """Name the number type of a layer: int8 if its float inputs are dequantised, else that of its output."""
    element = elements.get(node.output[0], 0)
    floats = [name for name in node.input if elements.get(name) in _FLOATS]
    quantised = element in _FLOATS and floats and dequantised.issuperset(floats)
    if quantised or node.op_type in _INTEGER:
        return "int8"
    name = str(onnx.TensorProto.DataType.Name(element)).lower()
    return _NAMES.get(name, name)


def _count_flops(node: Any, shapes: dict[str, Shape]) -> int:
    """Count the multiplications and additions of a product; 0 for other layers."""
    if node.op_type not in _PRODUCTS:
        return 0
    first, result = shapes[node.input[0]], shapes[node.output[0]]
    if node.op_type == "ConvTranspose":
        return 2 * math.prod(first) * math.prod(shapes[node.input[1]][1:])
    if "Conv" in node.op_type:
        kernel = shapes[node.input[3 if node.op_type == "QLinearConv" else 1]]
        return 2 * math.prod(result) * math.prod(kernel[1:])
    transposed = any(one.name == "transA" and one.i for one in node.attribute)
    return 2 * math.prod(result) * first[0 if transposed else -1]


def _count_weights(graph: Any) -> int:
    """Count the trained weights: floats and dequantised integers, without the scales of quantisers."""
    quantisers = [node for node in graph.node if node.op_type in _QUANTISERS]
    scales = {name for node in quantisers for name in node.input[1:]}
    stored = {node.input[0] for node in quantisers if node.op_type == "DequantizeLinear"}
    return sum(
        math.prod(tensor.dims)
        for tensor in graph.initializer
        if tensor.name in stored or (tensor.data_type in _FLOATS and tensor.name not in scales)
    )
