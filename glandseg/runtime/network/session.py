"""A model file run by ONNX Runtime, on the CPU or through CUDA."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.card import ModelCard
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.network.backend import Network
from glandseg.runtime.network.cpu_runs import CpuRuns
from glandseg.runtime.network.cuda_batches import SLOTS, CudaBatches, has_cuda
from glandseg.runtime.network.device_choice import DeviceChoice, parse_device
from glandseg.runtime.network.model_opening import import_onnxruntime

__all__ = ["DEVICES", "Session", "count_cpus", "import_onnxruntime"]

DEVICES = ("auto", "cpu", "cuda")
MOST_THREADS = 1024


class Session:
    """A model ready to run; it holds the device's memory until it is closed.

    On the CPU the answers are the same bytes for any batch and any number of threads.

    Args:
        path: of the .onnx file.
        device: "cpu", "cuda", "cuda:N", or "auto" for CUDA where it works and the CPU elsewhere.
        threads: of the CPU; 0 takes all that this process may use.
        batch: windows that the GPU runs at once; the CPU runs those of a call.
        say: is told, in a line, of what was not as asked for.

    Attributes:
        card: the model's own.
        name: what runs where.
        classes: number of classes.
        slots: calls of `infer` that may overlap.
        identity: what the answers' last bits depend on.

    Raises:
        BadInputError: if the file is no gland segmenter.
        EnvironmentLacksError: if ONNX Runtime or the asked device is missing.
    """

    def __init__(
        self,
        path: Path,
        *,
        device: str = "auto",
        threads: int = 0,
        batch: int = 8,
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        if threads < 0:
            raise BadInputError(f"--threads: 0 or more. Received: {threads}")
        if threads > MOST_THREADS:
            raise BadInputError(f"--threads: at most {MOST_THREADS}; 0 takes all CPUs. Received: {threads}")
        if batch < 1:
            raise BadInputError(f"--batch: at least 1. Received: {batch}")
        choice = parse_device(device)
        if choice.kind == "trt":
            raise BadInputError(f"--device: ONNX Runtime runs on {', '.join(DEVICES)}. Received: {device}")
        self._runtime = import_onnxruntime()
        gpu = has_cuda(self._runtime, device) and self._try_cuda(path, choice, batch, say)
        if not gpu:
            self._run_on_cpu(path, threads or count_cpus())
        self.classes = len(self.card.classes)

    def _try_cuda(self, path: Path, choice: DeviceChoice, batch: int, say: Callable[[str], None]) -> bool:
        try:
            network = CudaBatches(self._runtime, path, ordinal=choice.ordinal, batch=batch, say=say)
        except EnvironmentLacksError as error:
            if choice.kind == "cuda":
                raise
            say(str(error))
            return False
        self._take(network, network.card, SLOTS, f"CUDA, GPU {choice.ordinal}", network.identity)
        return True

    def _run_on_cpu(self, path: Path, threads: int) -> None:
        network = CpuRuns(self._runtime, path, threads)
        self._take(network, network.card, 1, "CPU", "cpu")

    def _take(self, network: Network, card: ModelCard, slots: int, where: str, details: str) -> None:
        version = self._runtime.__version__
        self._network: Network | None = network
        self.card, self.slots = card, slots
        self.name = f"ONNX Runtime {version}, {where}"
        self.identity = f"onnxruntime {version} {details} {card.precision}"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            EnvironmentLacksError: if the device's memory does not suffice for so many.
        """
        if self._network is None:
            raise ValueError("the session is closed")
        return self._network.infer(windows)

    def __enter__(self) -> Session:
        """Give itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model."""
        self._network = None


def count_cpus() -> int:
    """Count the CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
