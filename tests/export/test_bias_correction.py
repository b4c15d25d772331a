"""Rounding a convolution's weights leaves the mean of its output where it was."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from glandseg.export.bias_correction import compute_shift, correct_biases, measure_means, round_weight

FLOAT, UINT8 = onnx.TensorProto.FLOAT, onnx.TensorProto.UINT8


@pytest.fixture(scope="module")
def few_tiles() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(100, 256, (3, 320, 320, 3), np.uint8)


def build_model(weight: NDArray[np.float32], groups: int) -> onnx.ModelProto:
    """Build windows -> Cast -> Transpose -> Conv, without padding; the convolution's output is `scores`."""
    nodes = [
        helper.make_node("Cast", ["windows"], ["floats"], to=FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "weight", "bias"], ["scores"], name="convolution", group=groups),
    ]
    bias = np.linspace(-1, 1, len(weight), dtype=np.float32)
    graph = helper.make_graph(
        nodes,
        "one convolution",
        [helper.make_tensor_value_info("windows", UINT8, ["N", 320, 320, 3])],
        [helper.make_tensor_value_info("scores", FLOAT, None)],
        [numpy_helper.from_array(weight, "weight"), numpy_helper.from_array(bias, "bias")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def draw_weight(outputs: int, inputs: int, size: int) -> NDArray[np.float32]:
    """Draw a weight whose small values all round the same way: the worst that can be."""
    weight = np.full((outputs, inputs, size, size), 0.4 / 127, np.float32)
    weight[:, 0, 0, 0] = np.linspace(1, 2, outputs) * np.where(np.arange(outputs) % 2, -1, 1)
    return weight


def compute_mean(model: onnx.ModelProto, tiles: NDArray[np.uint8]) -> NDArray[np.float64]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (scores,) = session.run(None, {"windows": tiles})
    mean: NDArray[np.float64] = scores.mean((0, 2, 3), dtype=np.float64)
    return mean


@pytest.mark.parametrize(("outputs", "groups", "size"), [(5, 1, 1), (4, 1, 3), (3, 3, 3), (6, 3, 3)])
def test_rounded_weights_keep_the_mean_output(
    outputs: int, groups: int, size: int, few_tiles: NDArray[np.uint8]
) -> None:
    weight = draw_weight(outputs, 3 // groups, size)
    model = build_model(weight, groups)
    expected = compute_mean(model, few_tiles)
    rounded = build_model(round_weight(weight), groups)
    shifted = np.abs(compute_mean(rounded, few_tiles) - expected)
    correct_biases(model, few_tiles, ["convolution"])
    rounded.graph.initializer[1].CopyFrom(model.graph.initializer[1])
    assert np.abs(compute_mean(rounded, few_tiles) - expected).max() < 0.02 * max(shifted.max(), 1)
    assert size == 1 or shifted.max() > 3


def test_convolutions_that_stay_in_float_are_left_alone(few_tiles: NDArray[np.uint8]) -> None:
    model = build_model(draw_weight(4, 3, 3), 1)
    before = model.SerializeToString(deterministic=True)
    correct_biases(model, few_tiles, [])
    assert model.SerializeToString(deterministic=True) == before


def test_means_are_those_of_each_channel(few_tiles: NDArray[np.uint8]) -> None:
    means = measure_means(build_model(draw_weight(4, 3, 3), 1), few_tiles, ["planes"])
    assert np.allclose(means["planes"], few_tiles.mean((0, 1, 2)), rtol=1e-4)


@pytest.mark.parametrize(("outputs", "inputs", "groups"), [(4, 6, 1), (6, 6, 6), (12, 6, 6), (4, 6, 2)])
def test_shift_is_the_output_for_a_flat_input(outputs: int, inputs: int, groups: int) -> None:
    rng = np.random.default_rng(0)
    error, mean = rng.normal(size=(outputs, inputs // groups, 3, 3)), rng.normal(size=inputs)
    flat = torch.from_numpy(mean).reshape(1, -1, 1, 1).expand(1, inputs, 3, 3)
    expected = F.conv2d(flat, torch.from_numpy(error), groups=groups).flatten().numpy()
    assert np.allclose(compute_shift(error.astype(np.float32), mean), expected, rtol=1e-4, atol=1e-5)


def test_rounded_weights_lie_on_their_channel_s_steps_and_nothing_becomes_nan() -> None:
    weight = np.random.default_rng(0).normal(size=(5, 3, 3, 3)).astype(np.float32)
    weight[2] = 0
    rounded = round_weight(weight)
    largest = np.abs(weight).max((1, 2, 3), keepdims=True)
    assert np.allclose(np.abs(rounded).max((1, 2, 3), keepdims=True), largest)
    assert (np.abs(rounded - weight) <= 0.501 * largest / 127).all() and not rounded[2].any()


def test_a_bias_that_two_share_or_none_has_becomes_each_one_s_own(few_tiles: NDArray[np.uint8]) -> None:
    model = build_model(draw_weight(4, 3, 3), 1)
    for name, inputs in (("shares", ["weight", "bias"]), ("bare", ["weight"])):
        model.graph.node.append(helper.make_node("Conv", ["planes", *inputs], [name], name=name))
    before = numpy_helper.to_array(model.graph.initializer[1]).copy()
    correct_biases(model, few_tiles, ["convolution", "bare"])
    biases = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert [node.input[2] for node in model.graph.node[2:]] == ["convolution_bias", "bias", "bare_bias"]
    assert np.array_equal(biases["bias"], before)
    assert np.allclose(biases["convolution_bias"] - before, biases["bare_bias"])
