"""A model file run by ONNX Runtime, on the CPU or through CUDA."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.card import CardError, ModelCard, read_card
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError

DEVICES = ("auto", "cpu", "cuda")
_MEMORY_SIGNS = ("Failed to allocate memory", "out of memory", "bad_alloc", "bad allocation")
_INSTALL = 'pip install "glandseg[cpu]" (or "glandseg[gpu]" with an NVIDIA GPU)'


class Session:
    """A model ready to run; it holds the device's memory until it is closed.

    Args:
        path: of the .onnx file.
        device: "cpu", "cuda", or "auto" for CUDA where it works and the CPU elsewhere.
        threads: of the CPU; 0 takes all that this process may use.

    Attributes:
        card: the model's own.
        name: what runs where.
        classes: number of classes.

    Raises:
        BadInputError: if the file is no gland segmenter.
        EnvironmentLacksError: if ONNX Runtime or the asked device is missing.
    """

    def __init__(self, path: Path, *, device: str = "auto", threads: int = 0) -> None:
        if threads < 0:
            raise BadInputError(f"--threads: 0 or more. Received: {threads}")
        runtime = import_onnxruntime()
        options = runtime.SessionOptions()
        options.intra_op_num_threads = threads or count_cpus()
        options.log_severity_level = 3
        self._session = _open(runtime, path, options, _choose_providers(runtime, device))
        try:
            self.card: ModelCard = read_card(self._session.get_modelmeta().custom_metadata_map)
        except CardError as error:
            raise BadInputError(
                f"{path}: not a model of glandseg, {error}. Give one that `glandseg export` made."
            ) from None
        self.classes = len(self.card.classes)
        running = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        if device == "cuda" and running != "CUDA":
            raise EnvironmentLacksError(
                f"cuda: ONNX Runtime fell back to {running}. Check the NVIDIA driver, CUDA 13 and cuDNN 9, "
                "or leave --device out to run on the CPU."
            )
        self.name = f"ONNX Runtime {runtime.__version__}, {running}"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            EnvironmentLacksError: if the device's memory does not suffice for so many.
        """
        try:
            probabilities: NDArray[np.uint8] = self._session.run(
                None, {"windows": np.ascontiguousarray(windows)}
            )[0]
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            if any(sign in str(error) for sign in _MEMORY_SIGNS):
                raise EnvironmentLacksError(
                    f"{self.name}: the memory does not suffice for {len(windows)} windows at once. "
                    "Give a smaller --batch."
                ) from error
            raise
        return probabilities

    def __enter__(self) -> Session:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model."""
        self._session = None


def import_onnxruntime() -> Any:
    """Import ONNX Runtime, once exactly one of its two wheels is installed.

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
    return onnxruntime


def count_cpus() -> int:
    """Count the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _choose_providers(runtime: Any, device: str) -> list[Any]:
    if device not in DEVICES:
        raise BadInputError(f"--device: one of {', '.join(DEVICES)}. Received: {device}")
    available = runtime.get_available_providers()
    if device == "cuda" and "CUDAExecutionProvider" not in available:
        raise EnvironmentLacksError(
            "cuda: this ONNX Runtime has no CUDA. pip uninstall -y onnxruntime, then pip install "
            '"glandseg[gpu]", or leave --device out to run on the CPU.'
        )
    if device == "cpu" or "CUDAExecutionProvider" not in available:
        return ["CPUExecutionProvider"]
    if hasattr(runtime, "preload_dlls"):
        runtime.preload_dlls()
    cuda = ("CUDAExecutionProvider", {"cudnn_conv_algo_search": "HEURISTIC"})
    return [cuda, "CPUExecutionProvider"]


def _open(runtime: Any, path: Path, options: Any, providers: list[Any]) -> Any:
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave --model out.")
    try:
        return runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime raises classes of its own that share no base
        reason = str(error).partition("\n")[0][:160]
        raise BadInputError(
            f"{path}: ONNX Runtime cannot load it ({reason}). Give a model that `glandseg export` made."
        ) from None
