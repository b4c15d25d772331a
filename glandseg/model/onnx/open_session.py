"""Open a model file with ONNX Runtime, and sort its errors: the model's, the environment's or memory."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError, EnvironmentLacksError, GlandsegError, shorten
from glandseg.model.files import INT8_TENSORRT_SUFFIX
from glandseg.model.onnx.onnx_file import check_one_file

_INSTALL = 'pip install "glandseg[cpu]" (or "glandseg[gpu]" with an NVIDIA GPU)'
_CPU = ["CPUExecutionProvider"]
CPU_NODES = "assigned to the default CPU EP"  # in the error about nodes that a GPU cannot run
_FATAL = 4  # ONNX Runtime's severity of fatal errors; what others stop is raised, so need not be printed too
_CUDA_CAUSE = re.compile(r"\b(?:CUDA|CUBLAS|CUDNN|CURAND|CUFFT) failure \d+: [^;]+")
_MEMORY_SIGNS = (
    "Failed to allocate memory",
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "ALLOC_FAILED",
    "ALLOCATION_FAILED",
    "resource allocation failed",  # of cuBLAS
)


def import_onnxruntime() -> Any:
    """Import ONNX Runtime, of which exactly one of two wheels must be installed.

    Raises:
        EnvironmentLacksError: if none is, or both are: they overwrite each other's files.
    """
    installed = [name for name in ("onnxruntime", "onnxruntime-gpu") if _is_installed(name)]
    if len(installed) == 2:
        raise EnvironmentLacksError(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other. "
            f"pip uninstall -y onnxruntime onnxruntime-gpu, then {_INSTALL}."
        )
    try:
        import onnxruntime
    except ImportError as error:
        raise EnvironmentLacksError(f"onnxruntime: cannot be imported ({error}). {_INSTALL}.") from None
    onnxruntime.disable_telemetry_events()  # Windows' own tracing, which no variable switches off
    return onnxruntime


def open_on_cpu(runtime: Any, path: Path, threads: int) -> Any:
    """Open a model on the CPU.

    Idle threads sleep: spinning ones take the CPU from threads that decode the next windows. An INT8 file for
    TensorRT is computed in float32 over its rounded numbers, as exactly as TensorRT does: without VNNI, the
    CPU's own kernel for signed 8-bit numbers saturates their sums.

    Args:
        runtime: ONNX Runtime.
        path: ONNX file.
        threads: Threads of the network.

    Raises:
        BadInputError: if the file cannot be loaded.
    """
    options = make_options(runtime)
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if path.stem.endswith(INT8_TENSORRT_SUFFIX):
        options.add_session_config_entry("session.disable_quant_qdq", "1")
    return open_session(runtime, path, options, _CPU)


def make_options(runtime: Any) -> Any:
    """Return the options of every session: only fatal errors are logged."""
    runtime.set_default_logger_severity(_FATAL)
    options = runtime.SessionOptions()
    options.log_severity_level = _FATAL
    return options


def open_session(runtime: Any, path: Path, options: Any, providers: list[Any]) -> Any:
    """Open a session on a model file.

    Raises:
        BadInputError: if the file is missing, cannot be loaded, or is not the whole model.
        EnvironmentLacksError: if the GPU that the providers name fails.
        MemoryError: if the device has not enough memory.
    """
    check_one_file(path)
    try:
        # Its fallback would open the model on the CPU, print to the terminal and hide the first error.
        return runtime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        if lacks_memory(error):
            raise MemoryError(shorten(error)) from error
        if providers != _CPU and CPU_NODES not in str(error):
            open_on_cpu(runtime, path, 1)  # raises where the file is at fault
            raise describe_gpu_failure(runtime, error) from None
        raise BadInputError(
            f"{path}: ONNX Runtime cannot load it ({shorten(error, 300 if providers != _CPU else 160)}). "
            "Give a model that `glandseg export` made."
        ) from None


def describe_gpu_failure(runtime: Any, error: Exception) -> EnvironmentLacksError:
    """Return the error to raise where CUDA does not start, or fails for a reason other than the model."""
    cuda = str(getattr(runtime, "cuda_version", "") or "")
    libraries = f"CUDA {cuda.partition('.')[0]} and cuDNN 9" if cuda else "the CUDA libraries and cuDNN"
    cause = _CUDA_CAUSE.search(str(error))  # behind a signature in C++ of several hundred characters
    reason = cause[0].strip() if cause else shorten(error)
    return EnvironmentLacksError(
        f"cuda: the GPU does not run the model ({reason}). Check the NVIDIA driver with nvidia-smi, "
        f"{libraries} with `glandseg doctor`, or give --device cpu."
    )


@contextlib.contextmanager
def translated_errors(runtime: Any) -> Iterator[None]:
    """Turn what a GPU raises into MemoryError for lack of memory, else into the environment's fault."""
    try:
        yield
    except GlandsegError:
        raise
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        if lacks_memory(error):
            raise MemoryError(str(error)) from error
        raise describe_gpu_failure(runtime, error) from error


def lacks_memory(error: Exception) -> bool:
    """Return whether an error of ONNX Runtime is for lack of memory."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _MEMORY_SIGNS)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True
