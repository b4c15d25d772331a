"""Threads that take calls in order and cannot hold the process."""

from __future__ import annotations

import threading
from concurrent.futures import Future
from types import SimpleNamespace

import pytest

from glandseg.core import workers
from glandseg.core.workers import StalledError, Workers, await_result, call_in_time


def test_one_thread_keeps_the_order() -> None:
    seen: list[int] = []
    with Workers("count", 1) as workers:
        futures = [workers.submit(seen.append, index) for index in range(50)]
        for future in futures:
            await_result(future, "counting", 10)
    assert seen == list(range(50))


def test_calls_overlap_as_far_as_there_are_threads() -> None:
    together = threading.Barrier(3)
    with Workers("meet", 3) as workers:
        futures = [workers.submit(lambda: together.wait(10)) for _ in range(3)]
        assert sorted(await_result(future, "meeting", 10) for future in futures) == [0, 1, 2]


def test_an_error_reaches_whoever_waits_and_the_thread_goes_on() -> None:
    with Workers("fail", 1) as workers:
        bad, good = workers.submit(lambda: 1 // 0), workers.submit(lambda: 7)
        with pytest.raises(ZeroDivisionError):
            await_result(bad, "failing", 10)
        assert await_result(good, "working", 10) == 7


def test_calls_that_have_not_begun_are_dropped() -> None:
    begun, go = threading.Event(), threading.Event()
    seen: list[int] = []

    def hold() -> None:
        begun.set()
        go.wait(10)

    with Workers("drop", 1) as workers:
        workers.submit(hold)
        workers.submit(seen.append, 1)
        begun.wait(10)
        threading.Timer(0.05, go.set).start()
    assert seen == []


def test_what_does_not_answer_has_stalled() -> None:
    with pytest.raises(StalledError, match=r"the network has not answered for 0 s.*same command again"):
        await_result(Future(), "the network", 0.1)


def test_sleep_of_the_computer_is_no_stall(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock jumps by an hour between two looks, as Windows' does over a laptop's sleep."""
    future: Future[int] = Future()
    times = iter([0.0, 0.5, 3600.0, 3600.5])

    def look() -> float:
        now = next(times)
        if now > 3600.0:
            future.set_result(7)
        return now

    monkeypatch.setattr(workers, "_TICK_S", 0.001)
    monkeypatch.setattr(workers, "time", SimpleNamespace(monotonic=look))
    assert await_result(future, "the network", 600) == 7


def test_results_and_errors_come_back() -> None:
    assert call_in_time("adding", 5.0, lambda a, b: a + b, 1, 2) == 3
    with pytest.raises(ZeroDivisionError):
        call_in_time("dividing", 5.0, lambda: 1 // 0)


def test_what_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glandseg.core.workers._CLOSE_S", 0.0)
    with pytest.raises(StalledError, match="opening the slide has not answered for 0 s"):
        call_in_time("opening the slide", 0.1, threading.Event().wait)
