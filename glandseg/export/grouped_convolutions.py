"""Grouped convolutions as dense ones side by side: TensorRT has few kernels for groups, and some fail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

_CHANNELS = 1  # axis of a map's channels

Weights = Mapping[str, onnx.TensorProto]


def split_groups(model: onnx.ModelProto) -> int:
    """Rewrite a model's grouped convolutions as Split, dense convolutions and Concat, in place.

    Every output stays the same sum of the same products. Depthwise convolutions, one group a channel, are
    left: they have kernels of their own everywhere.

    Args:
        model: of opset 18 or later, from which Split counts its outputs; float32 or float16.

    Returns:
        How many were rewritten.
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
    """Give the groups of a convolution that can be rewritten; 1 for any other node.

    Args:
        node: of a graph.
        weights: the graph's initializers by name.
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
    """Add a weight's parts, cut along its output channels, to the graph; give their names."""
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
