"""Grouped convolutions become dense ones that compute the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper
from torch import nn

from glandseg.export.fp16 import to_fp16
from glandseg.export.grouped_convolutions import count_groups, split_groups
from glandseg.export.onnx_file import stamp, trace_segmenter
from glandseg.model.card import ModelCard
from glandseg.model.files import BUNDLED
from glandseg.training.networks import resnest
from glandseg.training.networks.pspnet import PSPNet
from glandseg.training.torch_backend import TorchBackend

FLOAT, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16


def write_convolution(
    groups: int, *, bias: bool = True, dtype: type = np.float32, channels: int = 12, twice: bool = False
) -> onnx.ModelProto:
    """A convolution of 12 to 24 channels, dilated, strided, padded on each side alike."""
    rng = np.random.default_rng(groups)
    weights = [numpy_helper.from_array(rng.normal(size=(24, channels // groups, 3, 3)).astype(dtype), "w")]
    if bias:
        weights.append(numpy_helper.from_array(rng.normal(size=24).astype(dtype), "b"))
    names = ["w", "b"] if bias else ["w"]
    how = {"group": groups, "dilations": [2, 2], "pads": [2] * 4, "strides": [2, 1]}
    nodes = [helper.make_node("Conv", ["x", *names], ["y"], "conv", **how)]
    outputs = ["y"]
    if twice:
        nodes.append(helper.make_node("Conv", ["x", *names], ["z"], **how))
        outputs.append("z")
    kind = HALF if dtype is np.float16 else FLOAT
    graph = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", kind, ["batch", channels, 20, 20])],
        [helper.make_tensor_value_info(name, kind, ["batch", 24, None, None]) for name in outputs],
        weights,
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: onnx.ModelProto, x: NDArray[Any], feed: str = "x") -> list[NDArray[Any]]:
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    found: list[NDArray[Any]] = session.run(None, {feed: x})
    return found


def list_groups(model: onnx.ModelProto) -> list[int]:
    """List the groups of each convolution."""
    return [
        next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        for node in model.graph.node
        if node.op_type == "Conv"
    ]


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [2, 3, 4, 6])
def test_the_same_is_computed(groups: int, bias: bool, dtype: type) -> None:
    model, split = (write_convolution(groups, bias=bias, dtype=dtype) for _ in range(2))
    assert split_groups(split) == 1
    assert list_groups(split) == [1] * groups
    x: NDArray[Any] = np.random.default_rng(0).normal(size=(3, 12, 20, 20)).astype(dtype)
    expected, received = run(model, x)[0], run(split, x)[0]
    assert expected.dtype == received.dtype == dtype and expected.max() > 10
    np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5 if dtype is np.float32 else 0.05)


def test_a_weight_that_two_share_is_split_once() -> None:
    model, split = (write_convolution(2, twice=True) for _ in range(2))
    assert split_groups(split) == 2
    assert sorted(tensor.name for tensor in split.graph.initializer) == ["b_0", "b_1", "w_0", "w_1"]
    x = np.random.default_rng(0).normal(size=(1, 12, 20, 20)).astype(np.float32)
    for expected, received in zip(run(model, x), run(split, x), strict=True):
        np.testing.assert_allclose(received, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("groups", [1, 12], ids=["dense", "depthwise"])
def test_dense_and_depthwise_ones_stay(groups: int) -> None:
    model = write_convolution(groups)
    before = model.SerializeToString(deterministic=True)
    assert split_groups(model) == 0
    assert model.SerializeToString(deterministic=True) == before


def test_weights_that_are_computed_stay() -> None:
    model = write_convolution(2)
    assert count_groups(model.graph.node[0], {}) == 1


def test_a_second_time_changes_nothing() -> None:
    model = write_convolution(3)
    split_groups(model)
    before = model.SerializeToString(deterministic=True)
    assert split_groups(model) == 0
    assert model.SerializeToString(deterministic=True) == before


@pytest.fixture(scope="module")
def small_resnest() -> nn.Module:
    """A PSPNet on a ResNeSt of one block a stage."""
    patch = pytest.MonkeyPatch()
    patch.setitem(resnest.VARIANTS, 14, ((1, 1, 1, 1), 16))
    torch.manual_seed(0)
    network = PSPNet(resnest.ResNeSt(14, output_stride=16), width=16).eval()
    patch.undo()
    return network


@pytest.fixture(scope="module")
def traced(small_resnest: nn.Module) -> onnx.ModelProto:
    return trace_segmenter(small_resnest)


@pytest.mark.slow
def test_exports_of_resnest_hold_no_groups(traced: onnx.ModelProto, small_resnest: nn.Module) -> None:
    grouped = [module for module in small_resnest.modules() if getattr(module, "groups", 1) > 1]
    assert len(grouped) == 4 and set(list_groups(traced)) == {1}
    windows = np.random.default_rng(0).integers(0, 256, (2, 320, 320, 3), np.uint8)
    received = run(traced, windows, "windows")[0].astype(int)
    assert np.abs(received - TorchBackend(small_resnest).infer(windows)).max() <= 1


def test_mobilenet_keeps_its_own() -> None:
    model = onnx.load(BUNDLED)
    assert max(list_groups(model)) > 100
    assert split_groups(model) == 0


@pytest.mark.slow
def test_resnest_becomes_an_engine_in_float16(traced: onnx.ModelProto, tmp_path: Path) -> None:
    pytest.importorskip("tensorrt_rtx", reason="tensorrt_rtx is not installed: pip install tensorrt-rtx")
    from glandseg.model.tensorrt.build import BuildSettings, build_engine
    from glandseg.model.tensorrt.package import RTX, find_package

    path = tmp_path / "resnest.fp16.onnx"
    model = to_fp16(traced)
    stamp(model, ModelCard(name="r", network="", tissue="", um_per_px=1.0, weights_sha256=""))
    path.write_bytes(model.SerializeToString())
    settings = BuildSettings(batch=2, precision="float16")
    built = build_engine(path, settings, find_package(RTX), lambda done, total, note: None)
    assert built.count.layers["CONVOLUTION"] == {"float16": len(list_groups(traced))}
    assert built.count.share("float16") > 0.85
