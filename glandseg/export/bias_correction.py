"""Correction of biases for what rounding the weights adds to a convolution's mean output (Nagel et al. 2019).

A channel's weights are rounded to 255 steps. The inputs follow a ReLU, so their mean is far from zero, and
the rounding errors of a channel's few weights do not cancel: each output channel is shifted everywhere alike.
In the bundled model, the first depthwise convolution alone caused more than half of INT8's error that way.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import helper, numpy_helper

STEPS = 127  # each side of zero

Means = dict[str, NDArray[np.float64]]


def correct_biases(model: Any, tiles: NDArray[np.uint8], names: Sequence[str]) -> None:
    """Subtract from biases the mean shift of the output that rounding the weights to INT8 causes.

    Args:
        model: Float32 model; its biases are changed, or added where there are none.
        tiles: (N, 320, 320, 3) uint8 RGB on which the mean inputs are measured.
        names: Names of the convolutions whose weights will be rounded.
    """
    convolutions = [node for node in model.graph.node if node.name in set(names)]
    if not convolutions:
        return
    means = measure_means(model, tiles, [node.input[0] for node in convolutions])
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    readers = Counter(name for node in model.graph.node for name in node.input)
    for node in convolutions:
        weight = numpy_helper.to_array(tensors[node.input[1]])
        shift = compute_shift(round_weight(weight) - weight, means[node.input[0]])
        bias = tensors[node.input[2]] if len(node.input) > 2 else None
        old = np.zeros(len(weight), np.float32) if bias is None else numpy_helper.to_array(bias)
        if bias is None or readers[bias.name] > 1:  # other nodes keep the bias that they share
            bias = model.graph.initializer.add(name=f"{node.name}_bias")
            node.input[2:] = [bias.name]
        bias.CopyFrom(numpy_helper.from_array((old - shift).astype(np.float32), bias.name))


def measure_means(model: Any, tiles: NDArray[np.uint8], names: Sequence[str]) -> Means:
    """Measure the mean of each channel of tensors (N, C, H, W) over all tiles.

    Returns:
        (C,) float64 for each name.
    """
    probed = copy.deepcopy(model)
    outputs = {name: f"{name}/mean" for name in names}
    probed.graph.initializer.append(numpy_helper.from_array(np.array([0, 2, 3]), "axes of pixels"))
    for name, output in outputs.items():
        probed.graph.node.append(
            helper.make_node("ReduceMean", [name, "axes of pixels"], [output], keepdims=0)
        )
        probed.graph.output.append(helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(
        probed.SerializeToString(), _quiet(), providers=["CPUExecutionProvider"]
    )
    found = [session.run(list(outputs.values()), {"windows": tile[None]}) for tile in tiles]
    return {
        name: np.mean(values, axis=0, dtype=np.float64)
        for name, values in zip(outputs, zip(*found, strict=True), strict=True)
    }


def round_weight(weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Round a weight (O, I / groups, h, w) as ONNX Runtime's quantiser does, with a scale for each output."""
    largest = np.abs(weight).max(axis=tuple(range(1, weight.ndim)), keepdims=True)
    scale = np.where(largest > 0, largest, 1) / STEPS
    return (np.rint(weight / scale) * scale).astype(np.float32)


def compute_shift(error: NDArray[np.float32], mean: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute how far a weight's error shifts each output channel's mean.

    Args:
        error: Change of the weight, (O, I / groups, h, w) float32.
        mean: Mean of each input channel, (I,) float64.

    Returns:
        (O,) float64.
    """
    outputs, inputs = error.shape[:2]
    groups = len(mean) // inputs
    seen = mean.reshape(groups, inputs).repeat(outputs // groups, axis=0)  # (O, I / groups)
    total: NDArray[np.float64] = (error.sum(axis=(2, 3), dtype=np.float64) * seen).sum(axis=1)
    return total


def _quiet() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return options
