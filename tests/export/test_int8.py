from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

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
from glandseg.export.int8_calibration import draw_calibration
from glandseg.export.int8_tail import compare_classes
from glandseg.export.run_export import ExportResult
from glandseg.runtime.network.parity import check_parity, measure_parity
from glandseg.runtime.network.session import Session

Quantised = dict[str, Path]
LAYOUT = pytest.mark.parametrize("layout", LAYOUTS, ids=lambda layout: layout.suffix)


@pytest.fixture(scope="module")
def model(exported: ExportResult) -> onnx.ModelProto:
    return onnx.load(exported.artefacts[0].path)


@pytest.fixture(scope="module")
def quantised(model: onnx.ModelProto, tmp_path_factory: pytest.TempPathFactory) -> Quantised:
    folder, tiles = tmp_path_factory.mktemp("int8"), draw_calibration(0.62).tiles[:3]
    paths = {layout.suffix: folder / f"small{layout.suffix}.onnx" for layout in LAYOUTS}
    for layout in LAYOUTS:
        made = to_int8(model, tiles, layout)
        made.metadata_props.extend(model.metadata_props)
        onnx.save(made, paths[layout.suffix])
    return paths


def read_quantisers(path: Path, kind: str) -> list[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Input, scale and zero point of each quantiser."""
    graph = onnx.load(path).graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return [
        (node.input[0], values[node.input[1]], values[node.input[2]])
        for node in graph.node
        if node.op_type == kind
    ]


@LAYOUT
def test_stays_near_float32(
    layout: Int8Layout, quantised: Quantised, exported: ExportResult, tiles: NDArray[np.uint8]
) -> None:
    with (
        Session(exported.artefacts[0].path, device="cpu") as reference,
        Session(quantised[layout.suffix], device="cpu") as session,
    ):
        parity = measure_parity(reference, session, tiles)
    check_parity(parity, "int8", layout.suffix)
    assert parity.max_dp > 2 / 255  # it is no float32 in disguise


@LAYOUT
def test_a_quarter_of_the_size_with_the_same_inputs_and_outputs(
    layout: Int8Layout, quantised: Quantised, exported: ExportResult, model: onnx.ModelProto
) -> None:
    path = quantised[layout.suffix]
    made = onnx.load(path)
    assert path.stat().st_size < 0.35 * exported.artefacts[0].size
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
    scales = [scale for name, scale, _ in read_quantisers(quantised[".int8"], "DequantizeLinear")]
    assert sum(scale.size > 1 for scale in scales) > 50


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
    model: onnx.ModelProto, capfd: pytest.CaptureFixture[str]
) -> None:
    before = model.SerializeToString(deterministic=True)
    made = to_int8(model, draw_calibration(0.62).tiles[:1], FOR_CPU)
    assert model.SerializeToString(deterministic=True) == before
    assert made.SerializeToString(deterministic=True) == to_int8(
        model, draw_calibration(0.62).tiles[:1], FOR_CPU
    ).SerializeToString(deterministic=True)
    assert capfd.readouterr() == ("", "")


def test_mostly_float32_is_refused(model: onnx.ModelProto, monkeypatch: pytest.MonkeyPatch) -> None:
    every = [node.name for node in model.graph.node]
    monkeypatch.setattr("glandseg.export.int8.list_float_nodes", lambda graph: every)
    with pytest.raises(ExportError, match="only 0% of the weights became INT8"):
        to_int8(model, draw_calibration(0.62).tiles[:1], FOR_TENSORRT)


def test_float_nodes_are_the_edges(model: onnx.ModelProto) -> None:
    kept = set(list_float_nodes(model.graph))
    kinds = [node.op_type for node in model.graph.node if node.name in kept]
    assert kinds.count("Conv") == 2 and "Softmax" in kinds and kinds.count("Clip") == 1


def test_sigmoid_of_the_difference_is_the_softmax(
    model: onnx.ModelProto, exported: ExportResult, tiles: NDArray[np.uint8], tmp_path: Path
) -> None:
    changed = compare_classes(model)
    kinds = [node.op_type for node in changed.graph.node]
    assert "Softmax" not in kinds and kinds.count("Sigmoid") == 1
    onnx.save(changed, tmp_path / "changed.onnx")
    with (
        Session(exported.artefacts[0].path, device="cpu") as softmax,
        Session(tmp_path / "changed.onnx", device="cpu") as sigmoid,
    ):
        before, after = softmax.infer(tiles[:3]), sigmoid.infer(tiles[:3])
    assert np.abs(before.astype(int) - after).max() <= 1
    assert np.array_equal(after[:, 0], 255 - after[:, 1])


def test_other_last_layers_are_left(model: onnx.ModelProto) -> None:
    other = compare_classes(model)  # has no softmax any more
    assert compare_classes(other).graph.node == other.graph.node
