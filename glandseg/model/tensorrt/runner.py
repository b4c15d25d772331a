"""The thread that owns a GPU: it queues batches in the order they come and wakes who waits for them.

A CUDA context belongs to the thread that pushed it, and what was made in it must be freed there, or the
process aborts at its end. So one thread makes, uses and frees all that is on the GPU, and other threads hand
it batches. It waits for the oldest batch only when no other is ready to be queued: copies and computation of
neighbouring batches overlap. Every wait has a limit, for a GPU that fell off the bus never answers.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError, GlandsegError, shorten
from glandseg.core.workers import StalledError, await_result
from glandseg.model.tensorrt.stream import EngineStreams, Slot
from glandseg.model.windows import WINDOW_PX

STALL_S = 120.0  # a batch takes at most a second on the slowest GPU that TensorRT serves
_OPEN_S = 600.0  # loading an engine; TensorRT for RTX compiles it for the GPU at its first run
CLOSE_S = 10.0

QueuedBatch = tuple[Slot, "Future[None]"]


class EngineRunner:
    """Runs batches on a GPU for any number of threads, as many at a time as the engine has slots.

    Args:
        name: Name of the backend, for messages.
        context: CUDA context; entered by the runner's thread.
        open_streams: Called inside the context; returns the engine with its buffers.
        batch: Windows in one batch.
        stall_s: Seconds without an answer after which the GPU counts as stalled.
        close_s: Maximum seconds to wait for calls in progress, and for the thread, at the end.

    Attributes:
        classes: Number of classes.

    Raises:
        MemoryError: if the GPU has not enough memory.
        GlandsegError: if the engine does not open.
    """

    def __init__(
        self,
        name: str,
        context: AbstractContextManager[Any],
        open_streams: Callable[[], EngineStreams],
        *,
        batch: int,
        stall_s: float = STALL_S,
        close_s: float = CLOSE_S,
    ) -> None:
        self._name, self._batch, self._stall_s, self._close_s = name, batch, stall_s, close_s
        self._context, self._open_streams = context, open_streams
        self._queued: queue.SimpleQueue[QueuedBatch | None] = queue.SimpleQueue()
        self._state = threading.Condition()  # guards the four below
        self._free: list[Slot] = []
        self._waiting: set[Future[None]] = set()
        self._failure: Exception | None = None
        self._slots = 0
        self.classes = 0
        opened: Future[None] = Future()
        self._waiting.add(opened)
        self._thread = threading.Thread(target=self._work, args=(opened,), name="GPU", daemon=True)
        self._thread.start()
        self._await(opened, _OPEN_S)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            StalledError: if the GPU does not answer.
            GlandsegError: if the engine fails; so do all calls that wait, and all later ones.
        """
        answers = np.empty((len(windows), self.classes, WINDOW_PX, WINDOW_PX), np.uint8)
        for first in range(0, len(windows), self._batch):
            last = first + self._batch
            self._run(windows[first:last], answers[first:last])
        return answers

    def close(self) -> None:
        """Wait for calls in progress, then free the GPU; a stalled GPU is left behind."""
        self._drain()
        self._fail(ValueError(f"{self._name}: closed"))
        self._queued.put(None)
        self._thread.join(self._close_s)

    def _run(self, windows: NDArray[np.uint8], answers: NDArray[np.uint8]) -> None:
        slot = self._acquire()
        try:
            slot.windows[: len(windows)] = windows
            self._await(self._submit(slot), self._stall_s)
            answers[...] = slot.answers[: len(windows)]
        finally:
            self._release(slot)

    def _acquire(self) -> Slot:
        with self._state:
            self._state.wait_for(lambda: self._free or self._failure, self._stall_s)
            if self._failure is None and not self._free:
                self._fail(StalledError(f"{self._name}: no answer for {self._stall_s:.0f} s."))
            self._check()
            return self._free.pop()

    def _release(self, slot: Slot) -> None:
        with self._state:
            self._free.append(slot)
            self._state.notify_all()

    def _drain(self) -> None:
        """Wait until no call reads or writes a slot any more."""
        with self._state:
            self._state.wait_for(lambda: len(self._free) == self._slots, self._close_s)

    def _submit(self, slot: Slot) -> Future[None]:
        future: Future[None] = Future()
        with self._state:
            self._check()
            self._waiting.add(future)
        self._queued.put((slot, future))
        return future

    def _await(self, future: Future[None], limit_s: float) -> None:
        try:
            await_result(future, self._name, limit_s)
        except StalledError as error:
            self._fail(error)
            raise
        finally:
            with self._state:
                self._waiting.discard(future)

    def _work(self, opened: Future[None]) -> None:
        """Make, use and free all that is on the GPU: the body of the thread."""
        try:
            with self._context:
                streams = self._open_streams()
                try:
                    self._begin(streams)
                    self._succeed(opened)
                    self._serve(streams)
                except BaseException as error:
                    self._fail(error)
                finally:
                    self._drain()
                    streams.close()
        except BaseException as error:
            self._fail(error)

    def _begin(self, streams: EngineStreams) -> None:
        self.classes, self._slots = streams.classes, len(streams.slots)
        for slot in streams.slots:
            self._release(slot)

    def _serve(self, streams: EngineStreams) -> None:
        under_way: deque[QueuedBatch] = deque()
        while True:
            try:
                batch = self._queued.get(block=not under_way)
            except queue.Empty:
                slot, future = under_way.popleft()
                streams.finish(slot)
                self._succeed(future)
                continue
            if batch is None:
                return
            streams.enqueue(batch[0])
            under_way.append(batch)

    def _succeed(self, future: Future[None]) -> None:
        with self._state:
            if not future.done():
                future.set_result(None)

    def _fail(self, error: BaseException) -> None:
        """Fail all calls that wait, and all later ones.

        The error is kept without its traceback, whose frames would hold what is on the GPU.
        """
        with self._state:
            self._failure = self._failure or self._translate(error)
            for future in self._waiting:
                if not future.done():
                    future.set_exception(_copy(self._failure))
            self._state.notify_all()

    def _check(self) -> None:
        if self._failure is not None:
            raise _copy(self._failure)

    def _translate(self, error: BaseException) -> Exception:
        if isinstance(error, GlandsegError | ValueError):
            return _copy(error)
        if isinstance(error, MemoryError):
            return MemoryError(shorten(error))
        reason = shorten(error) if isinstance(error, Exception) else type(error).__name__
        return EnvironmentLacksError(f"{self._name}: the GPU failed ({reason}). Look at it with nvidia-smi.")


def _copy(error: Exception) -> Exception:
    return type(error)(*error.args)
