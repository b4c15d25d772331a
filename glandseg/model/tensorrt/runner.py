"""The thread that owns a GPU: it queues batches in the order they come and wakes who waits for them."""

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
from glandseg.model.tensorrt.stream import Lane, Slot
from glandseg.model.windows import WINDOW_PX

STALL_S = 120.0  # a batch takes a second at most, on the slowest GPU that TensorRT serves
_OPEN_S = 600.0  # loading an engine; TensorRT for RTX compiles it for the GPU at its first run
_CLOSE_S = 10.0

Job = tuple[Slot, "Future[None]"]


class EngineRunner:
    """Runs batches on a GPU for any number of threads; `slots` of them at once.

    Args:
        name: of the backend, for messages.
        context: makes the GPU's context current while it is entered; entered by the runner's thread.
        open_lane: makes the lane, inside the context.
        batch: windows at once.
        stall_s: after so long without an answer the GPU counts as stalled.

    Attributes:
        classes: number of classes.

    Raises:
        MemoryError: if the GPU's memory does not suffice.
        GlandsegError: if the engine does not open.
    """

    def __init__(
        self,
        name: str,
        context: AbstractContextManager[Any],
        open_lane: Callable[[], Lane],
        *,
        batch: int,
        stall_s: float = STALL_S,
    ) -> None:
        self._name, self._batch, self._stall_s = name, batch, stall_s
        self._context, self._open_lane = context, open_lane
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._state = threading.Condition()  # guards the four below
        self._free: list[Slot] = []
        self._waiting: set[Future[None]] = set()
        self._failure: Exception | None = None
        self._slots = 0
        self.classes = 0
        opened: Future[None] = Future()
        self._waiting.add(opened)
        self._thread = threading.Thread(target=self._own, args=(opened,), name="GPU", daemon=True)
        self._thread.start()
        self._await(opened, _OPEN_S)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

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
        self._gather()
        self._fail(ValueError(f"{self._name}: closed"))
        self._jobs.put(None)
        self._thread.join(_CLOSE_S)

    def _run(self, windows: NDArray[np.uint8], answers: NDArray[np.uint8]) -> None:
        slot = self._take()
        try:
            slot.windows[: len(windows)] = windows
            self._await(self._submit(slot), self._stall_s)
            answers[...] = slot.answers[: len(windows)]
        finally:
            self._give(slot)

    def _take(self) -> Slot:
        with self._state:
            self._state.wait_for(lambda: self._free or self._failure, self._stall_s)
            if self._failure is None and not self._free:
                self._fail(StalledError(f"{self._name}: no answer for {self._stall_s:.0f} s."))
            self._check()
            return self._free.pop()

    def _give(self, slot: Slot) -> None:
        with self._state:
            self._free.append(slot)
            self._state.notify_all()

    def _gather(self) -> None:
        """Wait until no call reads or writes a slot any more."""
        with self._state:
            self._state.wait_for(lambda: len(self._free) == self._slots, _CLOSE_S)

    def _submit(self, slot: Slot) -> Future[None]:
        future: Future[None] = Future()
        with self._state:
            self._check()
            self._waiting.add(future)
        self._jobs.put((slot, future))
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

    def _own(self, opened: Future[None]) -> None:
        """Be the thread that makes, uses and frees all that is on the GPU."""
        try:
            with self._context:
                lane = self._open_lane()
                try:
                    self._begin(lane)
                    self._succeed(opened)
                    self._serve(lane)
                except BaseException as error:
                    self._fail(error)
                finally:
                    self._gather()
                    lane.close()
        except BaseException as error:
            self._fail(error)

    def _begin(self, lane: Lane) -> None:
        self.classes, self._slots = lane.classes, len(lane.slots)
        for slot in lane.slots:
            self._give(slot)

    def _serve(self, lane: Lane) -> None:
        under_way: deque[Job] = deque()
        while True:
            try:
                job = self._jobs.get(block=not under_way)
            except queue.Empty:
                slot, future = under_way.popleft()
                lane.finish(slot)
                self._succeed(future)
                continue
            if job is None:
                return
            lane.enqueue(job[0])
            under_way.append(job)

    def _succeed(self, future: Future[None]) -> None:
        with self._state:
            if not future.done():
                future.set_result(None)

    def _fail(self, error: BaseException) -> None:
        """Wake everybody who waits, and refuse who comes later.

        The error is kept without its traceback, whose frames would keep what is on the GPU.
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
        told = shorten(error) if isinstance(error, Exception) else type(error).__name__
        return EnvironmentLacksError(f"{self._name}: the GPU failed ({told}). Look at it with nvidia-smi.")


def _copy(error: Exception) -> Exception:
    return type(error)(*error.args)
