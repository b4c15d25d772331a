"""Daemon threads that take calls in order; a call that never returns cannot keep the process alive."""

from __future__ import annotations

import contextlib
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from functools import partial
from types import TracebackType
from typing import Any, TypeVar

from glandseg.core.errors import EnvironmentLacksError

T = TypeVar("T")
STALL_S = 600.0  # after which a drive or a network that does not answer counts as stalled
_CLOSE_S = 5.0  # time for calls in progress to end when the workers are closed
_TICK_S = 0.5  # between looks at the clock, when Windows too notices Ctrl-C
_LONGEST_TICK_S = 4 * _TICK_S


class StalledError(EnvironmentLacksError):
    """A call that has not returned in time (exit code 3)."""


class Workers:
    """Daemon threads for one kind of work; a context manager that waits for calls in progress.

    Args:
        name: Name of the threads.
        threads: Number of threads.
    """

    def __init__(self, name: str, threads: int) -> None:
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name} {index + 1}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Schedule a call for the next free thread."""
        future: Future[T] = Future()
        self._calls.put((future, partial(function, *arguments)))
        return future

    def __enter__(self) -> Workers:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop calls that have not begun, and wait up to `_CLOSE_S` for those that have."""
        with contextlib.suppress(queue.Empty):
            while True:
                self._calls.get_nowait()
        for _ in self._threads:
            self._calls.put(None)
        end = time.monotonic() + _CLOSE_S
        for thread in self._threads:
            thread.join(max(end - time.monotonic(), 0))

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            future, call = item
            try:
                future.set_result(call())
            except BaseException as error:
                future.set_exception(error)
            del item, future, call  # an idle thread holds no pixels


def await_result(future: Future[T], what: str, limit_s: float) -> T:
    """Wait for a call's result at most `limit_s` seconds.

    Time in which the computer slept does not count, as nothing could answer then. Some clocks continue in
    it, so one look at the clock adds at most `_LONGEST_TICK_S`.

    Raises:
        StalledError: The result has not come in time.
    """
    waited_s, last = 0.0, time.monotonic()
    while not wait([future], _TICK_S).done:
        now = time.monotonic()
        waited_s, last = waited_s + min(now - last, _LONGEST_TICK_S), now
        if waited_s > limit_s:
            raise StalledError(
                f"{what} has not answered for {limit_s:.0f} s. Check whether the device or the disk hangs, "
                "then run the same command again: finished windows are kept."
            )
    return future.result()


def call_in_time(what: str, limit_s: float, function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread of its own, and wait for its result at most `limit_s` seconds.

    Raises:
        StalledError: It has not returned in time; its thread is left behind.
        Exception: Whatever the function raises.
    """
    with Workers(what, 1) as workers:
        return await_result(workers.submit(function, *arguments), what, limit_s)
