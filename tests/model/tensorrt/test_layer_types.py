"""Layers counted by what they compute in."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.core.errors import GlandsegError
from glandseg.model.tensorrt.layer_types import LayerCount, check_share, count_engine, read_inspection
from glandseg.model.tensorrt.package import FULL, TensorRtPackage


def describe(kind: str, spelled_in: str, spelled_out: str, key: str = "Format/Datatype") -> dict[str, Any]:
    return {"Name": "n", "LayerType": kind, "Inputs": [{key: spelled_in}], "Outputs": [{key: spelled_out}]}


def test_the_words_of_tensorrt_10_are_read() -> None:
    layers = [
        describe("Reformat", "Row major linear UINT8 format", "Row major linear FP32"),
        describe("CaskConvolution", "Channel major FP16 format where channel % 8 == 0", "Half"),
        describe("CaskConvolution", "Thirty-two wide channel vectorized row major Int8 format.", "Half"),
        describe("kgen", "BFloat16", "BFloat16"),
    ]
    count = read_inspection(json.dumps({"Layers": layers, "Bindings": ["windows", "probabilities"]}))
    assert count.layers == {
        "CaskConvolution": {"float16": 1, "int8": 1},
        "Reformat": {"float32": 1},
        "kgen": {"bfloat16": 1},
    }
    assert count.measured_on == "engine"
    assert count.share("float16") == count.share("int8") == 0.25


def test_the_words_of_tensorrt_11_are_read() -> None:
    layers = [
        describe("gemm", "Half", "Half", "DataType"),
        {
            "Name": "n",
            "LayerType": "conv",
            "Inputs": [{"Format": "kLINEAR", "Datatype": "Float"}],
            "Outputs": [],
        },
    ]
    tensors = [{"Name": "windows", "IOMode": "Input", "DataType": "UInt8"}]
    count = read_inspection(json.dumps({"Layers": layers, "I/O Tensors": tensors}))
    assert count.layers == {"conv": {"float32": 1}, "gemm": {"float16": 1}}


@pytest.mark.parametrize(
    "content",
    [
        {},
        {"Layers": []},
        {"Layers": ["a name alone, as without detailed verbosity"]},
        {"Layers": [{"Name": "n"}, {"LayerType": "ForeignNode", "Inputs": [], "Outputs": [{"Name": "x"}]}]},
        {"Layers": [describe("ForeignNode", "UInt8", "UInt8"), describe("Shape", "Int64", "N/A")]},
    ],
)
def test_what_lists_no_number_types_counts_nothing(content: Any) -> None:
    assert read_inspection(json.dumps(content)).layers == {}


def test_a_share_of_nothing_is_none() -> None:
    assert LayerCount(layers={}, measured_on="engine").share("float16") == 0


@pytest.mark.parametrize("precision", ["float16", "int8"])
def test_next_to_none_is_refused(precision: str) -> None:
    count = LayerCount(layers={"conv": {"float32": 95, precision: 5}}, measured_on="engine")
    with pytest.raises(GlandsegError, match=rf"m\.onnx: {precision} was requested, but 5% .* its engine"):
        check_share(count, precision, "m.onnx")
    check_share(count, "float32", "m.onnx")


def test_most_is_enough() -> None:
    check_share(
        LayerCount(layers={"c": {"float32": 10, "float16": 90}}, measured_on="engine"), "float16", "m"
    )


@pytest.mark.parametrize(
    ("listed", "expected"),
    [
        (json.dumps({"Layers": [describe("conv", "Half", "Half")]}), {"conv": {"float16": 1}}),
        (json.dumps({"Layers": [describe("ForeignNode", "UInt8", "UInt8")]}), None),
        ("Inspecting needs another verbosity", None),
        (None, None),
    ],
)
def test_a_loaded_plan_is_inspected(listed: str | None, expected: Any) -> None:
    inspector = SimpleNamespace(get_engine_information=lambda form: listed)
    engine = SimpleNamespace(create_engine_inspector=lambda: inspector) if listed else None
    module = SimpleNamespace(
        Runtime=lambda log: SimpleNamespace(deserialize_cuda_engine=lambda plan: engine),
        LayerInformationFormat=SimpleNamespace(JSON=1),
    )
    count = count_engine(b"", TensorRtPackage(module=module, package=FULL, version="11.4.0.106"), None)
    assert (count and count.layers) == expected
