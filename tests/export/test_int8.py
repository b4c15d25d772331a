from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor, nn

from glandseg.export.bias_correction import round_weight
from glandseg.export.errors import ExportError
from glandseg.export.file_check import check_file
from glandseg.export.int8 import (
    FOR_CPU,
    FOR_TENSORRT,
    LAYOUTS,
    Int8Layout,
    int8_share,
    list_float_nodes,
    to_int8,
)
from glandseg.export.onnx_file import stamp, trace_segmenter, write_model
from glandseg.model.card import ModelCard
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.parity import LIMITS, check_parity, measure_parity

Quantised = dict[str, Path]
LAYOUT = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.suffix)


CARD = ModelCard(name="small", network="few layers", tissue="drawn", um_per_px=0.62, weights_sha256="0")


class Small(nn.Module):
    """A segmenter of few layers, of every kind that a real one has: depthwise, sum, pooled, side by side."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=4, padding=1)
        self.expand, self.narrow = nn.Conv2d(16, 64, 1), nn.Conv2d(64, 16, 1)
        self.depthwise = nn.Conv2d(64, 64, 3, padding=1, groups=64)
        self.wide, self.last = nn.Conv2d(32, 128, 3, padding=1), nn.Conv2d(128, 2, 1)

    def forward(self, images: Tensor) -> Tensor:
        """Turn (N, 3, H, W) images into (N, 2, H, W) logits."""
        features = F.relu6(self.stem(4 * images - 2))
        features = features + self.narrow(F.relu6(self.depthwise(F.relu6(self.expand(features)))))
        both = torch.cat([features, F.max_pool2d(features, 3, 1, 1)], 1)
        return F.interpolate(8 * self.last(F.relu(self.wide(both))), images.shape[2:], mode="bilinear")


@pytest.fixture(scope="module")
def model() -> onnx.ModelProto:
    torch.manual_seed(0)
    return trace_segmenter(Small())


@pytest.fixture(scope="module")
def single(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model in float32, as a file with its card."""
    return write(tmp_path_factory.mktemp("single") / "small.onnx", model, CARD)


@pytest.fixture(scope="module")
def quantised(
    model: onnx.ModelProto, tiles: NDArray[np.uint8], tmp_path_factory: pytest.TempPathFactory
) -> Quantised:
    folder, card = tmp_path_factory.mktemp("int8"), replace(CARD, precision="int8")
    return {
        layout.suffix: write(folder / f"small{layout.suffix}.onnx", to_int8(model, tiles[::3], layout), card)
        for layout in LAYOUTS
    }


def write(path: Path, model: onnx.ModelProto, card: ModelCard) -> Path:
    stamped = onnx.ModelProto()
    stamped.CopyFrom(model)
    stamp(stamped, card)
    write_model(path, stamped)
    return path


def read_quantisers(path: Path, kind: str) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Input, scale and zero point of each quantiser."""
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return [
        (node.input[0], values[node.input[1]], values[node.input[2]])
        for node in graph.node
        if node.op_type == kind
    ]


def read_tensor(path: Path, name: str) -> NDArray[Any]:
    return next(
        numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer if each.name == name
    )


@LAYOUT
def test_stays_near_float32(
    layout: Int8Layout, quantised: Quantised, single: Path, tiles: NDArray[np.uint8]
) -> None:
    with (
        CpuSession(single) as reference,
        CpuSession(quantised[layout.suffix]) as session,
    ):
        parity = measure_parity(reference, session, tiles)
    check_parity(parity, "int8", layout.suffix)
    assert parity.mean_dp > LIMITS["float32"].mean_dp  # it is no float32 in disguise


@LAYOUT
def test_a_quarter_of_the_size_with_the_same_inputs_and_outputs(
    layout: Int8Layout, quantised: Quantised, single: Path, model: onnx.ModelProto
) -> None:
    path = quantised[layout.suffix]
    made = onnx.load(path)
    assert path.stat().st_size < 0.35 * single.stat().st_size
    assert made.graph.input == model.graph.input and made.graph.output == model.graph.output
    assert [entry.domain for entry in made.opset_import] == [""]
    check_file(path)


@LAYOUT
def test_edges_stay_float32(layout: Int8Layout, quantised: Quantised, model: onnx.ModelProto) -> None:
    graph = onnx.load(quantised[layout.suffix]).graph
    dequantised = {name for node in graph.node if node.op_type == "DequantizeLinear" for name in node.output}
    inputs = [dequantised.intersection(node.input) for node in graph.node if node.op_type == "Conv"]
    weights = [node.input[1] in dequantised for node in graph.node if node.op_type == "Conv"]
    assert not inputs[0] and not weights[-1]
    assert all(weights[1:-1]) and all(len(found) >= 2 for found in inputs[1:-1])
    assert int8_share(onnx.load(quantised[layout.suffix])) > 0.95 > int8_share(model) == 0


def test_each_channel_has_its_scale(quantised: Quantised) -> None:
    scales = [scale for _, scale, _ in read_quantisers(quantised[FOR_CPU.suffix], "DequantizeLinear")]
    assert {16, 64, 128} <= {scale.size for scale in scales}


@LAYOUT
def test_biases_are_corrected_for_the_weights_that_the_file_holds(
    layout: Int8Layout, quantised: Quantised, model: onnx.ModelProto
) -> None:
    originals = {
        name: numpy_helper.to_array(tensor)
        for tensor in model.graph.initializer
        for name in [f"{tensor.name}_quantized"]
        if len(tensor.dims) == 4
    }
    found = {
        name: (values, scale)
        for name, scale, _ in read_quantisers(quantised[layout.suffix], "DequantizeLinear")
        if name in originals
        for values in [read_tensor(quantised[layout.suffix], name)]
    }
    assert len(found) == 4
    for name, (values, scale) in found.items():
        assert np.allclose(values * scale.reshape(-1, 1, 1, 1), round_weight(originals[name]), rtol=1e-5)


def test_tensorrt_gets_signed_numbers_around_zero_and_float_biases(quantised: Quantised) -> None:
    path = quantised[FOR_TENSORRT.suffix]
    zeros = [
        zero for kind in ("QuantizeLinear", "DequantizeLinear") for *_, zero in read_quantisers(path, kind)
    ]
    assert all(zero.dtype == np.int8 and not zero.any() for zero in zeros)
    graph = onnx.load(path).graph
    biases = {node.input[2] for node in graph.node if node.op_type == "Conv"}
    assert biases <= {
        tensor.name for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.FLOAT
    }


def test_relu_costs_nothing_on_the_cpu(quantised: Quantised, model: onnx.ModelProto) -> None:
    def count(path_model: onnx.ModelProto) -> int:
        return sum(node.op_type in ("Clip", "Relu") for node in path_model.graph.node)

    assert count(onnx.load(quantised[FOR_CPU.suffix])) == 1 < count(model)
    assert {zero.dtype for *_, zero in read_quantisers(quantised[FOR_CPU.suffix], "QuantizeLinear")} == {
        np.dtype(np.uint8)
    }


def test_the_model_is_left_as_it_is_and_nothing_is_printed(
    model: onnx.ModelProto, tiles: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    before = model.SerializeToString(deterministic=True)
    made, again = (to_int8(model, tiles[:1], FOR_CPU).SerializeToString(deterministic=True) for _ in "12")
    assert model.SerializeToString(deterministic=True) == before
    assert made == again
    assert capfd.readouterr() == ("", "")


def test_mostly_float32_is_refused(
    model: onnx.ModelProto, tiles: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    every = [node.name for node in model.graph.node]
    monkeypatch.setattr("glandseg.export.int8.list_float_nodes", lambda graph: every)
    with pytest.raises(ExportError, match="only 0% of the weights became INT8"):
        to_int8(model, tiles[:1], FOR_TENSORRT)


def test_float_nodes_are_the_edges(model: onnx.ModelProto) -> None:
    kept = set(list_float_nodes(model.graph))
    kinds = [node.op_type for node in model.graph.node if node.name in kept]
    assert kinds.count("Conv") == 2 and kinds.count("Sigmoid") == 1 and kinds.count("Clip") == 1


def test_the_bundled_models_file_stays_near_float32(tiles: NDArray[np.uint8]) -> None:
    path = BUNDLED.with_name("glandseg-colon.int8.onnx")
    assert path.stat().st_size < 0.3 * BUNDLED.stat().st_size
    with CpuSession(BUNDLED) as reference, CpuSession(path) as session:
        parity = measure_parity(reference, session, tiles)
        calibration = "32 windows of 32 training images of ebhi"
        assert session.card == replace(reference.card, precision="int8", calibration=calibration)
    check_parity(parity, "int8", path.name)
