"""Models whose hash would not cover all that runs are refused, wherever they hide it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.doctor.inspect_model import inspect_model
from glandseg.model.files import BUNDLED
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.onnx.onnx_file import check_one_file

onnx = pytest.importorskip("onnx")
helper, kinds = onnx.helper, onnx.TensorProto


def make_tensor(name: str = "weights", *, external: bool = True) -> Any:
    tensor = onnx.numpy_helper.from_array(np.ones(4, np.float32), name)
    if external:
        tensor.ClearField("raw_data")
        tensor.data_location = kinds.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
    return tensor


def make_graph(*nodes: Any, weights: Any = (), sparse: Any = ()) -> Any:
    out = helper.make_tensor_value_info("out", kinds.FLOAT, [4])
    return helper.make_graph(list(nodes), "graph", [], [out], list(weights), sparse_initializer=list(sparse))


def in_initializer() -> Any:
    return helper.make_model(make_graph(weights=[make_tensor()]))


def in_second_initializer() -> Any:
    return helper.make_model(make_graph(weights=[make_tensor("a", external=False), make_tensor("b")]))


def in_constant() -> Any:
    return helper.make_model(make_graph(helper.make_node("Constant", [], ["out"], value=make_tensor())))


def in_branch() -> Any:
    inner = make_graph(weights=[make_tensor()])
    node = helper.make_node("If", ["yes"], ["out"], then_branch=inner, else_branch=make_graph())
    return helper.make_model(make_graph(node))


def in_branch_of_branch() -> Any:
    inner = helper.make_node("If", ["no"], ["out"], then_branch=make_graph(weights=[make_tensor()]))
    return helper.make_model(
        make_graph(helper.make_node("If", ["yes"], ["out"], then_branch=make_graph(inner)))
    )


def in_lists() -> Any:
    node = helper.make_node("Odd", [], ["out"], tensors=[make_tensor()], domain="odd")
    return helper.make_model(make_graph(node))


def in_sparse_values() -> Any:
    indices = onnx.numpy_helper.from_array(np.arange(4, dtype=np.int64), "indices")
    return helper.make_model(make_graph(sparse=[helper.make_sparse_tensor(make_tensor(), indices, [9])]))


def in_sparse_constant() -> Any:
    indices = onnx.numpy_helper.from_array(np.arange(4, dtype=np.int64), "indices")
    value = helper.make_sparse_tensor(make_tensor(), indices, [9])
    return helper.make_model(make_graph(helper.make_node("Constant", [], ["out"], sparse_value=value)))


def in_function() -> Any:
    node = helper.make_node("Constant", [], ["y"], value=make_tensor())
    function = helper.make_function("odd", "f", [], ["y"], [node], [helper.make_opsetid("", 18)])
    return helper.make_model(
        make_graph(helper.make_node("f", [], ["out"], domain="odd")), functions=[function]
    )


def in_training() -> Any:
    model = helper.make_model(make_graph())
    model.training_info.add().algorithm.CopyFrom(make_graph(weights=[make_tensor()]))
    return model


def without_a_place() -> Any:
    model = in_initializer()
    model.graph.initializer[0].ClearField("external_data")
    return model


def without_a_flag() -> Any:
    model = in_initializer()
    model.graph.initializer[0].ClearField("data_location")
    return model


def compiled_elsewhere() -> Any:
    node = helper.make_node(
        "EPContext", [], ["out"], embed_mode=0, ep_cache_context="x.bin", domain="com.microsoft"
    )
    return helper.make_model(make_graph(node))


@pytest.mark.parametrize(
    "make",
    [
        in_initializer,
        in_second_initializer,
        in_constant,
        in_branch,
        in_branch_of_branch,
        in_lists,
        in_sparse_values,
        in_sparse_constant,
        in_function,
        in_training,
        without_a_place,
        without_a_flag,
        compiled_elsewhere,
    ],
)
def test_what_lies_outside_is_refused(make: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(make().SerializeToString())
    (tmp_path / "weights.bin").write_bytes(bytes(16))
    for look in (check_one_file, inspect_model, lambda path: CpuSession(path)):
        with pytest.raises(
            BadInputError, match=r"m\.onnx: its .* outside this file .* Export the model as one"
        ):
            look(path)


def test_a_number_written_longer_than_need_be_hides_nothing(tmp_path: Path) -> None:
    tensor = make_tensor()
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    long_tag = bytes([14 << 3 | 0x80, 0x80, 0x80, 0x80, 0x10])  # with a bit that protobuf drops
    content = tensor.SerializeToString() + long_tag + b"\x01"
    graph = b"\x2a" + bytes([len(content)]) + content
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x3a" + bytes([len(graph)]) + graph)
    with pytest.raises(BadInputError, match="outside this file"):
        check_one_file(path)


def test_graphs_nested_deep_are_walked(tmp_path: Path) -> None:
    content = b""
    for _ in range(3000):  # a graph in an attribute of a node of a graph
        for field in (6, 5, 1):
            content = bytes([field << 3 | 2]) + write_number(len(content)) + content
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x3a" + write_number(len(content)) + content)
    check_one_file(path)


def write_number(number: int) -> bytes:
    parts = [number >> shift & 0x7F for shift in range(0, 35, 7)]
    return bytes([part | 0x80 for part in parts[:-1]] + parts[-1:])


def test_whole_models_pass(red_model: Path) -> None:
    check_one_file(red_model)
    for path in BUNDLED.parent.glob("*.onnx"):
        check_one_file(path)


@pytest.mark.parametrize(("content", "message"), [(b"", "it is empty"), (b"text", "it is no ONNX file")])
def test_what_is_no_onnx_file_is_refused(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    with pytest.raises(BadInputError, match=rf"m\.onnx: not a model of glandseg, ({message})"):
        check_one_file(path)
