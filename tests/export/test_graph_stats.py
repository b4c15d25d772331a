"""A graph's layers, weights and work, against figures by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from glandseg.core.errors import BadInputError
from glandseg.export.graph_stats import Layers, count_graph
from glandseg.model.files import BUNDLED


def write(path: Path, nodes: list[Any], weights: dict[str, Any], kind: int = TensorProto.FLOAT) -> Path:
    """Write a graph from x, (N, 8, 10, 10), to y."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", kind, ["N", 8, 10, 10])],
        [helper.make_tensor_value_info("y", TensorProto.UNDEFINED, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    path.write_bytes(model.SerializeToString())
    return path


def test_the_bundled_model_takes_what_its_documents_say() -> None:
    stats = count_graph(BUNDLED)
    assert stats.opset == 20
    assert stats.gflop == pytest.approx(2.6, abs=0.05)
    assert stats.weights == pytest.approx(2.65e6, rel=0.01)
    first = stats.layers[0]
    assert (first.kind, first.precision, first.count) == ("Conv", "float32", 62)


@pytest.mark.parametrize(("groups", "kind", "name"), [(1, "float32", "float32"), (4, "float16", "float16")])
def test_a_convolution(groups: int, kind: str, name: str, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1] * 4, group=groups),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    weights = {"w": np.zeros((16, 8 // groups, 3, 3), kind), "b": np.zeros(16, kind)}
    element = helper.np_dtype_to_tensor_dtype(np.dtype(kind))
    stats = count_graph(write(tmp_path / "conv.onnx", nodes, weights, element))
    flop = 2 * (16 * 10 * 10) * (8 // groups * 3 * 3)
    assert stats.layers == (
        Layers(kind="Conv", precision=name, count=1, gflop=flop / 1e9),
        Layers(kind="Relu", precision=name, count=1, gflop=0.0),
    )
    assert stats.weights == 16 * (8 // groups) * 9 + 16


def test_products_of_matrices_and_transposed_convolutions(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("ConvTranspose", ["x", "up"], ["u"], strides=[2, 2]),  # (1, 4, 20, 20)
        helper.make_node("MatMul", ["u", "m"], ["p"]),  # (1, 4, 20, 5)
        helper.make_node("Flatten", ["p"], ["f"], axis=3),  # (80, 5)
        helper.make_node("Gemm", ["f", "g"], ["y"], transA=1),  # (5, 3)
    ]
    weights = {
        "up": np.zeros((8, 4, 2, 2), np.float32),
        "m": np.zeros((20, 5), np.float32),
        "g": np.zeros((80, 3), np.float32),
    }
    stats = count_graph(write(tmp_path / "products.onnx", nodes, weights))
    assert {one.kind: round(one.gflop * 1e9) for one in stats.layers} == {
        "ConvTranspose": 2 * (8 * 10 * 10) * (4 * 2 * 2),
        "MatMul": 2 * (4 * 20 * 5) * 20,
        "Gemm": 2 * (5 * 3) * 80,
        "Flatten": 0,
    }


def test_what_lies_between_quantisers_is_int8(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["v"]),
        helper.make_node("Conv", ["d", "v"], ["c"]),
        helper.make_node("Relu", ["c"], ["y"]),
    ]
    weights = {"s": np.float32(0.1), "z": np.int8(0), "w": np.zeros((4, 8, 1, 1), np.int8)}
    stats = count_graph(write(tmp_path / "int8.onnx", nodes, weights))
    found = {(one.kind, one.precision): one.count for one in stats.layers}
    assert found[("Conv", "int8")] == 1
    assert found[("Relu", "float32")] == 1
    assert stats.weights == 4 * 8
    assert stats.layers[0].gflop == 2 * (4 * 10 * 10) * 8 / 1e9


def test_what_is_no_graph(tmp_path: Path) -> None:
    path = tmp_path / "text.onnx"
    path.write_text("text", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"text\.onnx: its graph cannot be read"):
        count_graph(path)
