"""Batches of one size through ONNX Runtime's CUDA, by way of buffers that stay on the GPU."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError, GlandsegError
from glandseg.model.card import ModelCard
from glandseg.model.gpu import read_cudnn_version, read_machine
from glandseg.model.onnx.cuda_session import open_cuda_session, preload_libraries
from glandseg.model.onnx.open_session import describe_gpu_failure, lacks_memory, read_session_card
from glandseg.model.windows import WINDOW_PX

SLOTS = 2  # one batch is copied while another is computed
_NO_CUDA = (
    "cuda: this ONNX Runtime has no CUDA. pip uninstall -y onnxruntime, then pip install "
    '"glandseg[gpu]", or leave --device out to run on the CPU.'
)


def has_cuda(runtime: Any, device: str) -> bool:
    """Whether to try CUDA for a device as users write it; "auto" does where it was compiled in.

    Raises:
        EnvironmentLacksError: if CUDA was asked for, and this ONNX Runtime was built without.
    """
    compiled_in = "CUDAExecutionProvider" in runtime.get_available_providers()
    if device.startswith("cuda") and not compiled_in:
        raise EnvironmentLacksError(_NO_CUDA)
    return compiled_in and device != "cpu"


class CudaBatches:
    """A model on a GPU that always computes whole batches; the last is filled up.

    Where the GPU's memory does not suffice, the batch is halved, and that is said.

    Args:
        runtime: ONNX Runtime.
        path: of the .onnx file.
        ordinal: of the GPU.
        batch: windows at once.
        say: is told of smaller batches.

    Attributes:
        card: the model's own.

    Raises:
        BadInputError: if the file is no gland segmenter.
        EnvironmentLacksError: if CUDA does not start, or one window is too much for the GPU.
    """

    def __init__(
        self, runtime: Any, path: Path, *, ordinal: int, batch: int, say: Callable[[str], None]
    ) -> None:
        preload_libraries(runtime)
        self._runtime, self._path, self._ordinal, self._say = runtime, path, ordinal, say
        self._changing = threading.Lock()
        self._lanes: queue.SimpleQueue[_Lane | None] = queue.SimpleQueue()
        self._batch = batch
        self._gpu = _describe_gpu(ordinal)
        self.card = self._fill()

    @property
    def identity(self) -> str:
        """What the answers' last bits depend on: the GPU, its libraries, and the batch as it is now."""
        return f"cuda:{self._ordinal} {self._gpu} batch {self._batch}"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows."""
        answers = np.empty((len(windows), len(self.card.classes), WINDOW_PX, WINDOW_PX), np.uint8)
        done = 0
        while done < len(windows):
            done += self._run_some(windows[done:], answers[done:])
        return answers

    def _run_some(self, windows: NDArray[np.uint8], answers: NDArray[np.uint8]) -> int:
        lane = self._take_lane()
        try:
            count = min(len(windows), lane.batch)
            answers[:count] = lane.run(windows[:count])
            return count
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            if not lacks_memory(error):
                raise describe_gpu_failure(self._runtime, error) from error
            failed = lane.batch
        finally:
            self._lanes.put(lane)
            del lane
        self._shrink(failed)
        return 0

    def _take_lane(self) -> _Lane:
        lane = self._lanes.get()
        if lane is None:
            self._lanes.put(None)
            raise self._too_small()
        return lane

    def _shrink(self, failed: int) -> None:
        """Take smaller batches than `failed`, unless another thread did so meanwhile."""
        with self._changing:
            if self._batch != failed:
                return
            for _ in range(SLOTS):
                self._take_lane()
            try:
                self._halve()
                self._fill()
            except BaseException:
                self._lanes.put(None)
                raise

    def _halve(self) -> None:
        if self._batch == 1:
            raise self._too_small()
        self._say(f"cuda:{self._ordinal}: too little GPU memory for {self._batch} windows at once; halved")
        self._batch //= 2

    def _too_small(self) -> EnvironmentLacksError:
        return EnvironmentLacksError(
            f"cuda:{self._ordinal}: the GPU's memory does not suffice for one window. "
            "Close other programs that use it, or give --device cpu."
        )

    def _fill(self) -> ModelCard:
        """Open the model for the present batch, or the largest that fits, and make its lanes."""
        while True:
            with contextlib.suppress(MemoryError), self._translated():
                return self._make_lanes()
            self._halve()

    def _make_lanes(self) -> ModelCard:
        session = open_cuda_session(self._runtime, self._path, self._ordinal, self._batch)
        card = read_session_card(self._path, session, self._batch)
        lanes = [
            _Lane(self._runtime, session, self._batch, len(card.classes), self._ordinal) for _ in range(SLOTS)
        ]
        for lane in lanes:
            lane.run(np.zeros((1, WINDOW_PX, WINDOW_PX, 3), np.uint8))
        for lane in lanes:
            self._lanes.put(lane)
        return card

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn ONNX Runtime's errors into MemoryError for lack of memory, else into the environment's."""
        try:
            yield
        except GlandsegError:
            raise
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            if lacks_memory(error):
                raise MemoryError(str(error)) from error
            raise describe_gpu_failure(self._runtime, error) from error


class _Lane:
    """Buffers of one batch, bound to a session."""

    def __init__(self, runtime: Any, session: Any, batch: int, classes: int, ordinal: int) -> None:
        make = runtime.OrtValue.ortvalue_from_shape_and_type
        self.batch = batch
        self._session, self._binding = session, session.io_binding()
        self._host = np.zeros((batch, WINDOW_PX, WINDOW_PX, 3), np.uint8)
        self._windows = make(self._host.shape, np.uint8, "cuda", ordinal)
        self._answers = make((batch, classes, WINDOW_PX, WINDOW_PX), np.uint8, "cuda", ordinal)
        self._binding.bind_ortvalue_input(session.get_inputs()[0].name, self._windows)
        self._binding.bind_ortvalue_output(session.get_outputs()[0].name, self._answers)

    def run(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Run at most a batch; what fills it up is left over from before, and is not given back."""
        self._host[: len(windows)] = windows
        self._windows.update_inplace(self._host)
        self._binding.synchronize_inputs()
        self._session.run_with_iobinding(self._binding)
        self._binding.synchronize_outputs()
        answers: NDArray[np.uint8] = self._answers.numpy()[: len(windows)]
        return answers


def _describe_gpu(ordinal: int) -> str:
    """Return what decides CUDA's kernels beside ONNX Runtime: GPU, driver and cuDNN."""
    machine = read_machine(ordinal)
    return f"{machine.gpu} driver {machine.driver} cuDNN {read_cudnn_version()}"
