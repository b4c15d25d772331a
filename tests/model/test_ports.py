"""Graphs with other inputs and outputs than windows and probabilities are refused when they are opened."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.doctor.inspect_model import inspect_model
from glandseg.model.card import ModelCard
from glandseg.model.onnx.cpu import CpuSession

onnx = pytest.importorskip("onnx")
helper, U8, I64, F32 = onnx.helper, onnx.TensorProto.UINT8, onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
CARD = ModelCard(name="c", network="", tissue="", um_per_px=1.0, weights_sha256="")
WINDOWS, ANSWERS = ["N", 320, 320, 3], ["N", 2, 320, 320]
Port = tuple[str, int, Sequence[Any]]


def write(
    path: Path,
    *,
    takes: Sequence[Port] = (("windows", U8, WINDOWS),),
    gives: Sequence[Port] = (("probabilities", U8, ANSWERS),),
    shape: Sequence[int] = (0, 2, 320, 320),
    kind: int = U8,
) -> Path:
    """Write a graph that answers zeros of a shape, whatever it takes or declares; 0 is the batch given."""
    nodes = [
        helper.make_node("Shape", [takes[0][0]], ["size"]),
        helper.make_node("Gather", ["size", "first"], ["batch"]),
        helper.make_node("Where", ["is_batch", "batch", "shape"], ["whole"]),
        helper.make_node(
            "ConstantOfShape", ["whole"], ["zeros"], value=helper.make_tensor("z", kind, [1], [0])
        ),
        *(helper.make_node("Identity", ["zeros"], [name]) for name, _, _ in gives),
    ]
    graph = helper.make_graph(
        nodes,
        "zeros",
        [helper.make_tensor_value_info(*port) for port in takes],
        [helper.make_tensor_value_info(*port) for port in gives],
        [
            helper.make_tensor("first", I64, [1], [0]),
            helper.make_tensor("shape", I64, [len(shape)], [max(side, 1) for side in shape]),
            helper.make_tensor(
                "is_batch", onnx.TensorProto.BOOL, [len(shape)], [side == 0 for side in shape]
            ),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    helper.set_model_props(model, CARD.to_metadata())
    path.write_bytes(model.SerializeToString())
    return path


def test_the_graph_of_a_segmenter_is_opened(tmp_path: Path) -> None:
    with CpuSession(write(tmp_path / "m.onnx")) as session:
        assert session.infer(np.zeros((3, 320, 320, 3), np.uint8)).shape == (3, 2, 320, 320)


FREE = ["N", "C", "H", "W"]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"takes": [("input", U8, WINDOWS)]}, "it takes 'input', not 'windows'"),
        ({"takes": [("w\x1b[2J", U8, WINDOWS)]}, r"it takes 'w \[2J', not 'windows'"),
        (
            {"takes": [("windows", U8, WINDOWS), ("size_", U8, [1])]},
            "'windows', 'size_', not 'windows' alone",
        ),
        ({"takes": [("windows", F32, WINDOWS)]}, r"\(N, 320, 320, 3\) tensor\(float\), not \(batch, 320"),
        ({"takes": [("windows", U8, ["N", 3, 320, 320])]}, r"as \(N, 3, 320, 320\)"),
        ({"takes": [("windows", U8, ["N", 256, 256, 3])]}, r"as \(N, 256, 256, 3\)"),
        ({"takes": [("windows", U8, ["N", 320, 320])]}, r"as \(N, 320, 320\) "),
        ({"takes": [("windows", U8, [1, 320, 320, 3])]}, "in batches of 1 alone"),
        ({"takes": [("windows", U8, [8, 320, 320, 3])]}, "in batches of 8 alone"),
        ({"gives": [("output", U8, ANSWERS)]}, "it answers with 'output', not 'probabilities'"),
        (
            {"gives": [("logits", U8, ANSWERS), ("probabilities", U8, ANSWERS)]},
            "'logits', 'probabilities', not 'probabilities' alone",
        ),
        ({"gives": [("probabilities", U8, ["N", 1, 320, 320])], "shape": [0, 1, 320, 320]}, r"\(N, 1, 320"),
        ({"gives": [("probabilities", U8, ["N", 3, 320, 320])], "shape": [0, 3, 320, 320]}, r"\(N, 3, 320"),
        ({"gives": [("probabilities", F32, ANSWERS)], "kind": F32}, r"tensor\(float\), not"),
        ({"gives": [("probabilities", U8, ["N", 2, 160, 160])], "shape": [0, 2, 160, 160]}, r"\(N, 2, 160"),
        ({"gives": [("probabilities", U8, ["N", 320, 320])], "shape": [0, 320, 320]}, r"\(N, 320, 320\) "),
        # What a graph declares and what it does are two things.
        (
            {"gives": [("probabilities", U8, FREE)], "shape": [0, 1, 320, 320]},
            r"2 windows with \(2, 1, 320, 320\)",
        ),
        (
            {"gives": [("probabilities", U8, FREE)], "shape": [0, 2, 80, 80]},
            r"with \(2, 2, 80, 80\) uint8, not",
        ),
        ({"gives": [("probabilities", U8, FREE)], "shape": [3, 2, 320, 320]}, r"with \(3, 2, 320, 320\)"),
    ],
)
def test_another_graph_is_refused_at_opening(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", **changed)
    with pytest.raises(BadInputError, match=rf"m\.onnx: not a model of glandseg, .*{message}"):
        CpuSession(path)


@pytest.mark.parametrize("fixed", [1, 8])
def test_a_batch_fixed_inside_is_refused(fixed: int, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", shape=[fixed, 2, 320, 320])
    with pytest.raises(BadInputError, match=rf"answers 2 windows with \({fixed}, 2, 320, 320\)"):
        CpuSession(path)


def test_a_batch_fixed_to_two_is_told_when_it_shows(tmp_path: Path) -> None:
    session = CpuSession(write(tmp_path / "m.onnx", shape=[2, 2, 320, 320]))
    with pytest.raises(BadInputError, match=r"answers 3 windows with \(2, 2, 320, 320\)"):
        session.infer(np.zeros((3, 320, 320, 3), np.uint8))


@pytest.mark.parametrize("old", [b"windows", b"glandseg.card"])
def test_text_that_is_not_utf8_is_refused(old: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(old, b"\xff" * len(old)))
    with pytest.raises(BadInputError, match=r"m\.onnx: "):
        CpuSession(path)
    with pytest.raises(BadInputError, match=r"m\.onnx: "):
        inspect_model(path)
