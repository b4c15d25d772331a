"""ONNX files parsed by TensorRT."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.files import BUNDLED
from glandseg.model.tensorrt.package import FULL, TensorRtPackage
from glandseg.model.tensorrt.parse import parse_network, parse_onnx

Install = Callable[..., Any]
WriteNetwork = Callable[..., Path]


def test_the_bundled_model_is_read(rtx: TensorRtPackage) -> None:
    assert parse_onnx(BUNDLED, rtx) == []


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_every_precision_is_read(
    rtx: TensorRtPackage, write_network: WriteNetwork, tmp_path: Path, precision: str
) -> None:
    assert parse_onnx(write_network(tmp_path / "small.onnx", precision), rtx) == []


def test_each_objection_is_one_line(rtx: TensorRtPackage, red_model: Path) -> None:
    errors = parse_onnx(red_model, rtx)  # bytes may only be cast, and this network counts with them
    assert errors and all(error and "\n" not in error for error in errors)
    assert "[Gather], UNSUPPORTED_NODE" in errors[0] and "UINT8" in errors[0]


def test_what_is_no_onnx_is_reported(
    rtx: TensorRtPackage, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "noise.onnx"
    path.write_bytes(b"\xff" * 100)
    assert len(parse_onnx(path, rtx)) == 1
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_reported(rtx: TensorRtPackage, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"absent\.onnx: cannot be read"):
        parse_network(tmp_path / "absent.onnx", rtx)


def test_no_gpu_is_reported(install: Install, tmp_path: Path) -> None:
    class Refusing:
        def __init__(self, log: object) -> None:
            raise TypeError("pybind11::init(): factory function returned nullptr")

    class Logger:
        WARNING = 2

    module = install("tensorrt", "11.4.0.106")
    module.Builder, module.ILogger = Refusing, Logger
    trt_package = TensorRtPackage(module=module, package=FULL, version="11.4.0.106")
    with pytest.raises(EnvironmentLacksError, match=r"TensorRT 11\.4\.0\.106: cannot start.*NVIDIA GPU"):
        parse_network(tmp_path / "any.onnx", trt_package)
