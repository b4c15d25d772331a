"""Checks of the libraries that run networks: ONNX Runtime and its CUDA libraries, TensorRT, PyCUDA."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
from typing import Any

from glandseg.core.errors import EnvironmentLacksError, shorten
from glandseg.doctor.finding import Finding, note, ok
from glandseg.doctor.libraries import find_version
from glandseg.model.files import BUNDLED
from glandseg.model.gpu import DriverError, Gpu, list_gpus
from glandseg.model.tensorrt.package import FULL, RTX, find_package

BUILD_PYCUDA = (
    "Build its wheel with `make pycuda` in a clone of glandseg, then pip install dist/pycuda-*.whl."
)
CUDA_LIBRARIES = 'pip install "onnxruntime-gpu[cuda,cudnn]"'


def check_onnxruntime() -> list[Finding]:
    """Load ONNX Runtime, and report its compiled providers; only a session shows which of them run."""
    from glandseg.model.onnx.open_session import import_onnxruntime

    runtime = import_onnxruntime()
    wheel = next(name for name in ("onnxruntime-gpu", "onnxruntime", "") if not name or find_version(name))
    compiled = ", ".join(name.removesuffix("ExecutionProvider") for name in runtime.get_available_providers())
    text = f"{runtime.__version__} ({wheel or 'no wheel of PyPI'}), compiled in: {compiled}"
    return [ok("ONNX Runtime", text), *check_cuda_libraries(runtime)]


def check_tensorrt() -> list[Finding]:
    """Load the installed TensorRT packages, and report the GPUs that they do not support."""
    found = list_packages()
    return [_check_package(package) for package in found] or [ok("TensorRT", "not installed, and not needed")]


def check_pycuda() -> list[Finding]:
    """Load PyCUDA, which TensorRT needs."""
    version = find_version("pycuda")
    if version is None:
        if list_packages() and _find_gpus():
            return [note("PyCUDA", "not installed, but needed by TensorRT", BUILD_PYCUDA)]
        return [ok("PyCUDA", "not installed, and not needed without TensorRT and a GPU")]
    try:
        importlib.import_module("pycuda.driver")
    except Exception as error:
        cure = f"Install NVIDIA's driver, or build PyCUDA again. {BUILD_PYCUDA}"
        return [note("PyCUDA", f"{version} does not load ({shorten(error)})", cure)]
    return [ok("PyCUDA", version)]


def list_packages() -> list[str]:
    """List the installed TensorRT packages, whether they load or not."""
    return [package for package in (FULL, RTX) if importlib.util.find_spec(package)]


def check_cuda_libraries(runtime: Any) -> list[Finding]:
    """Load the CUDA libraries as a session does; ONNX Runtime prints missing ones and raises nothing."""
    if "CUDAExecutionProvider" not in runtime.get_available_providers():
        return []
    if not hasattr(runtime, "preload_dlls"):
        return [note("CUDA", "this ONNX Runtime finds CUDA libraries by the library path only")]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        runtime.preload_dlls()
    missing = [line for line in printed.getvalue().splitlines() if "Failed to load" in line]
    if missing:
        reason = missing[0].partition("Failed to load ")[2]
        return [note("CUDA", f"{len(missing)} libraries do not load: {reason}", f"{CUDA_LIBRARIES}.")]
    return [ok("CUDA", f"libraries of CUDA {getattr(runtime, 'cuda_version', '') or ''} load")]


def _check_package(package: str) -> Finding:
    from glandseg.model.tensorrt.parse import parse_onnx

    try:
        trt_package = find_package(package)
        objections = parse_onnx(BUNDLED, trt_package)
    except EnvironmentLacksError as error:
        return note("TensorRT", str(error))
    if objections:
        return note(
            "TensorRT", f"{trt_package} refuses the bundled model ({objections[0]})", "Report this line."
        )
    barred = [gpu for gpu in _find_gpus() if not trt_package.serves(gpu.target)]
    if barred:
        cure = (
            'pip install "glandseg[trt]".' if trt_package.is_rtx else "Run glandseg infer with --device cuda."
        )
        return note("TensorRT", f"{trt_package} does not run on {barred[0]}, but {trt_package.rule}", cure)
    return ok("TensorRT", f"{trt_package}; runs {trt_package.rule}")


def _find_gpus() -> list[Gpu]:
    try:
        return list_gpus()
    except DriverError:
        return []
