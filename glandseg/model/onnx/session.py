"""A model file run by ONNX Runtime, on the CPU or through CUDA."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.core.system import count_cpus
from glandseg.model.card import ModelCard
from glandseg.model.device import DeviceChoice, parse_device
from glandseg.model.onnx.cpu import CpuRuns
from glandseg.model.onnx.cuda import SLOTS, CudaBatches, has_cuda
from glandseg.model.onnx.open_session import describe_gpu_failure, import_onnxruntime

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
        batch: windows that the GPU runs in one call; the CPU runs those of a call, at most as many.
        say: is told, in a line, of what was not as asked for.

    Attributes:
        card: the model's own.
        name: what runs where.
        classes: number of classes.
        slots: calls of `infer` that may overlap.

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
            self._run_on_cpu(path, threads or count_cpus(), batch)
        self.classes = len(self.card.classes)

    def _try_cuda(self, path: Path, choice: DeviceChoice, batch: int, say: Callable[[str], None]) -> bool:
        try:
            network = CudaBatches(self._runtime, path, ordinal=choice.ordinal, batch=batch, say=say)
        except Exception as error:  # what CUDA's libraries raise shares no base
            told = error if isinstance(error, GlandsegError) else describe_gpu_failure(self._runtime, error)
            if choice.kind == "cuda" or isinstance(told, BadInputError):
                raise told from None
            say(str(told))
            return False
        self._take(network, network.card, SLOTS, f"CUDA, GPU {choice.ordinal}")
        return True

    def _run_on_cpu(self, path: Path, threads: int, batch: int) -> None:
        network = CpuRuns(self._runtime, path, threads, batch)
        self._take(network, network.card, 1, "CPU")

    def _take(self, network: CpuRuns | CudaBatches, card: ModelCard, slots: int, where: str) -> None:
        self._network: CpuRuns | CudaBatches | None = network
        self.card, self.slots = card, slots
        self.name = f"ONNX Runtime {self._runtime.__version__}, {where}"
        self._details = network.identity  # for those who ask once it is closed

    @property
    def identity(self) -> str:
        """What the answers' last bits depend on; a batch that was halved meanwhile counts."""
        details = self._network.identity if self._network else self._details
        return f"onnxruntime {self._runtime.__version__} {details} {self.card.precision}"

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
        self._details = self._network.identity if self._network else self._details
        self._network = None
