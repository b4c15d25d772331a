"""ONNX Runtime, TensorRT and PyCUDA: there, absent, broken."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.core.errors import EnvironmentLacksError
from glandseg.doctor import engines
from glandseg.doctor.engines import (
    check_cuda_libraries,
    check_onnxruntime,
    check_pycuda,
    check_tensorrt,
)
from glandseg.doctor.isolation import run_check
from glandseg.model.gpu import Gpu
from glandseg.model.tensorrt import parse as network
from glandseg.model.tensorrt.package import FULL, RTX, TensorRtPackage


def make_gpu(*capability: int) -> Gpu:
    return Gpu(name="RTX", capability=(capability[0], capability[1]), memory=24 << 30)


def test_onnxruntime_is_told() -> None:
    finding = check_onnxruntime()[0]
    assert finding.level == "ok"
    assert "compiled in: " in finding.text


def test_both_wheels_are_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: "1.31")
    (finding,) = run_check("ONNX Runtime", check_onnxruntime)
    assert (finding.level, finding.topic) == ("problem", "ONNX Runtime")
    assert "pip uninstall -y onnxruntime onnxruntime-gpu" in finding.text


def test_no_wheel_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    (finding,) = run_check("ONNX Runtime", check_onnxruntime)
    assert finding.level == "problem"
    assert "glandseg[cpu]" in finding.text


def make_runtime(*lines: str) -> Any:
    """Stand for an ONNX Runtime with CUDA that prints these lines while it loads CUDA's libraries."""
    return SimpleNamespace(
        get_available_providers=lambda: ["CUDAExecutionProvider"],
        preload_dlls=lambda: sys.stdout.write("\n".join(lines)),
        cuda_version="13.0",
    )


def test_cuda_libraries_that_load(capsys: pytest.CaptureFixture[str]) -> None:
    (finding,) = check_cuda_libraries(make_runtime())
    assert (finding.level, finding.text) == ("ok", "libraries of CUDA 13.0 load")
    assert capsys.readouterr().out == ""


def test_cuda_libraries_that_are_missing() -> None:
    lines = [
        "Failed to load libcublas.so.13: no such file",
        "Failed to load libcudnn.so.9: no",
        "Please follow",
    ]
    (finding,) = check_cuda_libraries(make_runtime(*lines))
    assert finding.level == "note"
    assert finding.text == "2 libraries do not load: libcublas.so.13: no such file"
    assert "[cuda,cudnn]" in finding.cure


def test_cuda_libraries_are_of_no_interest_without_the_provider() -> None:
    assert check_cuda_libraries(SimpleNamespace(get_available_providers=lambda: ["CPU"])) == []


def make_package(package: str) -> TensorRtPackage:
    known = dict.fromkeys(("SM75", "SM80", "SM86", "SM89", "SM120"))
    module = SimpleNamespace(ComputeCapability=SimpleNamespace(__members__=known if package == RTX else {}))
    return TensorRtPackage(module=module, package=package, version="11.4")


@pytest.fixture
def set_packages(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(*packages: str, gpus: tuple[Gpu, ...] = ()) -> None:
        monkeypatch.setattr(engines, "list_packages", lambda: list(packages))
        monkeypatch.setattr(engines, "_find_gpus", lambda: list(gpus))
        monkeypatch.setattr(engines, "find_package", make_package)
        monkeypatch.setattr(network, "parse_onnx", lambda path, trt_package: [])

    return put


def test_tensorrt_is_optional(set_packages: Any) -> None:
    set_packages()
    (finding,) = check_tensorrt()
    assert (finding.level, finding.text) == ("ok", "not installed, and not needed")


def test_each_package_is_told(set_packages: Any) -> None:
    set_packages(FULL, RTX, gpus=(make_gpu(8, 9),))
    assert [one.text for one in check_tensorrt()] == [
        "TensorRT 11.4; runs on compute capability 7.5 and newer",
        "TensorRT for RTX 11.4; runs on sm75, sm86, sm89, sm120 and newer RTX cards",
    ]


def test_a_gpu_that_a_package_does_not_serve(set_packages: Any) -> None:
    set_packages(FULL, RTX, gpus=(make_gpu(9, 0),))
    full, rtx = check_tensorrt()
    assert (full.level, rtx.level) == ("ok", "note")
    assert rtx.cure == 'pip install "glandseg[trt]".'
    set_packages(FULL, gpus=(make_gpu(7, 0),))
    assert check_tensorrt()[0].level == "note"


@pytest.mark.parametrize("package", [FULL, RTX])
def test_doctor_and_infer_agree_on_every_gpu(set_packages: Any, package: str) -> None:
    trt_package = make_package(package)
    for capability in ((7, 0), (7, 5), (8, 0), (8, 6), (8, 9), (9, 0), (12, 0), (12, 1), (13, 0)):
        gpu = make_gpu(*capability)
        set_packages(package, gpus=(gpu,))
        (finding,) = check_tensorrt()
        try:
            trt_package.check_gpu(gpu.name, gpu.target)
        except EnvironmentLacksError:
            assert finding.level == "note"
        else:
            assert finding.level == "ok"


def test_a_tensorrt_that_does_not_load(set_packages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(package: str) -> None:
        raise EnvironmentLacksError("TensorRT cannot be imported (bad DLL). pip install x.")

    set_packages(FULL)
    monkeypatch.setattr(engines, "find_package", fail)
    (finding,) = check_tensorrt()
    assert finding.level == "note"
    assert "bad DLL" in finding.text


def test_a_tensorrt_that_refuses_the_model(set_packages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_packages(FULL)
    monkeypatch.setattr(network, "parse_onnx", lambda path, trt_package: ["node_1 [Conv]: odd"])
    (finding,) = check_tensorrt()
    assert (finding.level, "node_1 [Conv]: odd" in finding.text) == ("note", True)


def test_pycuda(set_packages: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    set_packages(FULL, gpus=(make_gpu(8, 9),))
    monkeypatch.setattr(engines, "find_version", lambda name: None)
    (finding,) = check_pycuda()
    assert (finding.level, finding.cure) == ("note", engines.BUILD_PYCUDA)
    set_packages(FULL)
    assert check_pycuda()[0].level == "ok"
    monkeypatch.setattr(engines, "find_version", lambda name: "2026.1")

    def fail(name: str) -> None:
        raise ImportError("libcuda.so.1: cannot open shared object file")

    monkeypatch.setattr(importlib, "import_module", fail)
    (finding,) = check_pycuda()
    assert finding.level == "note"
    assert finding.text.startswith("2026.1 does not load (libcuda.so.1")
    monkeypatch.setattr(importlib, "import_module", lambda name: None)
    assert check_pycuda()[0].text == "2026.1"
