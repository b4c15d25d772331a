"""Replacement of grouped convolutions by dense ones side by side.

TensorRT has few kernels for groups, and some of them fail. A group is a dense convolution of a part of the
channels, so Split, dense convolutions and Concat compute the same sums of the same products. Depthwise
convolutions, one group per channel, stay: every engine has kernels for them, and hundreds of parts would not
be faster.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_CHANNELS = 1  # axis of the channels

Weights = Mapping[str, onnx.TensorProto]


def split_groups(model: onnx.ModelProto) -> int:
    """Rewrite the grouped convolutions of a model, but not depthwise ones, in place.

    Args:
        model: Float32 or float16 model of opset 18 or later, where Split has `num_outputs`.

    Returns:
        Number of convolutions rewritten.
    """
    graph, nodes, rewritten = model.graph, [], 0
    weights = {tensor.name: tensor for tensor in graph.initializer}
    for node in graph.node:
        groups = count_groups(node, weights)
        nodes += _split_node(node, groups, weights, graph) if groups > 1 else [node]
        rewritten += groups > 1
    if rewritten:
        del graph.node[:]
        graph.node.extend(nodes)
        _drop_unused_weights(graph)
    return rewritten


def count_groups(node: onnx.NodeProto, weights: Weights) -> int:
    """Count the groups of a convolution that can be rewritten; 1 for any other node.

    Args:
        node: Node of a graph.
        weights: Initializers of the graph by name.
    """
    if node.op_type != "Conv" or any(name and name not in weights for name in node.input[1:]):
        return 1
    depthwise = weights[node.input[1]].dims[1] == 1
    return 1 if depthwise else int(_list_attributes(node).get("group", 1))


def _split_node(node: Any, groups: int, weights: Weights, graph: Any) -> list[Any]:
    name = node.name or node.output[0]
    parts = [f"{name}_in_{i}" for i in range(groups)]
    results = [f"{name}_out_{i}" for i in range(groups)]
    shared = [_split_weight(weights[weight], groups, graph) for weight in node.input[1:] if weight]
    attributes = _list_attributes(node) | {"group": 1}
    return [
        helper.make_node("Split", node.input[:1], parts, f"{name}_split", axis=_CHANNELS, num_outputs=groups),
        *(
            helper.make_node("Conv", [parts[i], *(names[i] for names in shared)], results[i:i + 1],
                             f"{name}_{i}", **attributes)
            for i in range(groups)
        ),
        helper.make_node("Concat", results, node.output, f"{name}_concat", axis=_CHANNELS),
    ]  # fmt: skip


def _split_weight(weight: onnx.TensorProto, groups: int, graph: Any) -> list[str]:
    """Split a weight along its output channels, add the parts to the graph and return their names."""
    names = [f"{weight.name}_{i}" for i in range(groups)]
    known = {tensor.name for tensor in graph.initializer}
    for name, part in zip(names, np.split(numpy_helper.to_array(weight), groups), strict=True):
        if name not in known:  # several convolutions may share a weight
            graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(part), name))
    return names


def _list_attributes(node: Any) -> dict[str, Any]:
    return {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}


def _drop_unused_weights(graph: Any) -> None:
    used = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
