"""A model run by ONNX Runtime through CUDA, in batches of one size.

Every batch has the same size, the last one filled up: cuDNN chooses its kernels by shape, so a smaller last
batch would be computed by other kernels, with other last bits, after another search. Two sets of buffers
let one batch be copied while another is computed. Memory that runs short halves the batch for all threads.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.model.backend import BATCH, describe_small_memory, halve_batch
from glandseg.model.gpu import read_cudnn_version, read_machine
from glandseg.model.onnx.cuda_binding import BoundBuffers, import_with_cuda, open_cuda_session
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.model.onnx.open_session import translated_errors
from glandseg.model.ports import INPUT, OUTPUT, check_ports
from glandseg.model.windows import WINDOW_PX


class CudaSession:
    """A model ready to run on a GPU; it holds the GPU's memory until it is closed.

    Args:
        path: ONNX file.
        ordinal: Number of the GPU, in CUDA's order from 0.
        batch: Windows in one batch; halved while the GPU has not enough memory.
        say: Called with a line for each smaller batch.

    Attributes:
        card: Model card.
        name: Library and device, "ONNX Runtime 1.31.1, CUDA, GPU 0".
        classes: Number of classes.
        slots: Calls of `infer` that may overlap.

    Raises:
        BadInputError: if the file is no gland segmenter.
        EnvironmentLacksError: if ONNX Runtime has no CUDA, CUDA does not start, or the GPU has not enough
            memory for one window.
    """

    slots = 2

    def __init__(
        self,
        path: Path,
        *,
        ordinal: int = 0,
        batch: int = BATCH,
        say: Say = lambda text: None,
    ) -> None:
        self._runtime = import_with_cuda()
        self._path, self._ordinal, self._gpu, self._say = path, ordinal, f"cuda:{ordinal}", say
        self.card = read_onnx_card(path)
        self.classes = len(self.card.classes)
        self._changing = threading.Lock()
        self._buffers: queue.SimpleQueue[BoundBuffers | None] = queue.SimpleQueue()  # None: no more
        self._batch, self._closed = batch, False
        machine, version = read_machine(ordinal), self._runtime.__version__
        self.name = f"ONNX Runtime {version}, CUDA, GPU {ordinal}"
        # What decides CUDA's kernels: library, GPU, driver and cuDNN.
        self._kernels = (
            f"onnxruntime {version} {self._gpu} {machine.gpu} driver {machine.driver} "
            f"cuDNN {read_cudnn_version()}"
        )
        self._fill()

    @property
    def identity(self) -> str:
        """Return what the last bits of the answers depend on, with the batch as it is now."""
        return f"{self._kernels} batch {self._batch} {self.card.precision}"

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            EnvironmentLacksError: if the GPU fails, or has not enough memory for one window.
        """
        if self._closed:
            raise ValueError("the session is closed")
        answers = np.empty((len(windows), self.classes, WINDOW_PX, WINDOW_PX), np.uint8)
        done = 0
        while done < len(windows):
            done += self._run_batch(windows[done:], answers[done:])
        return answers

    def _run_batch(self, windows: NDArray[np.uint8], answers: NDArray[np.uint8]) -> int:
        """Run the first batch; return its windows, 0 where the batch had to be halved."""
        buffers = self._acquire()
        count, failed = min(len(windows), buffers.batch), buffers.batch
        try:
            with translated_errors(self._runtime):
                answers[:count] = buffers.run(windows[:count])
                return count
        except MemoryError:
            pass
        finally:
            self._buffers.put(buffers)
            del buffers
        self._shrink(failed)
        return 0

    def _acquire(self) -> BoundBuffers:
        buffers = self._buffers.get()
        if buffers is None:
            self._buffers.put(None)
            raise describe_small_memory(self._gpu)
        return buffers

    def _shrink(self, failed: int) -> None:
        """Halve the batch `failed`, unless another thread did so meanwhile."""
        with self._changing:
            if self._batch != failed:
                return
            for _ in range(self.slots):
                self._acquire()
            try:
                self._halve()
                self._fill()
            except BaseException:
                self._buffers.put(None)
                raise

    def _halve(self) -> None:
        self._batch = halve_batch(self._batch, self._gpu, self._say)

    def _fill(self) -> None:
        """Open the model for the present batch, or the largest that fits, and bind its buffers."""
        while True:
            with contextlib.suppress(MemoryError), translated_errors(self._runtime):
                return self._bind()
            self._halve()

    def _bind(self) -> None:
        session = open_cuda_session(self._runtime, self._path, self._ordinal, self._batch)
        check_ports(self._path, session.get_inputs(), session.get_outputs(), self.classes, self._batch)
        # Before the buffers: their memory stays with the process, even where the batch does not fit.
        session.run([OUTPUT], {INPUT: np.zeros((self._batch, WINDOW_PX, WINDOW_PX, 3), np.uint8)})
        buffers = [
            BoundBuffers(self._runtime, session, self._batch, self.classes, self._ordinal)
            for _ in range(self.slots)
        ]
        for each in buffers:
            each.run(np.zeros((1, WINDOW_PX, WINDOW_PX, 3), np.uint8))
        for each in buffers:
            self._buffers.put(each)

    def __enter__(self) -> CudaSession:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model and the GPU's memory, which the buffers hold."""
        self._closed, self._buffers = True, queue.SimpleQueue()
