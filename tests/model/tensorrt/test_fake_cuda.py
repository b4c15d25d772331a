"""The fake GPU itself: what CUDA leaves undefined, it refuses."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from tests.model.tensorrt.fake_cuda import FakeCuda


def test_calls_need_a_context(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    for call in (driver.Stream, driver.Event, lambda: driver.mem_alloc(8)):
        with pytest.raises(driver.LogicError, match="without a current context"):
            call()
    careless_cuda.retain().push()
    stream, errors = driver.Stream(), []

    def use() -> None:
        try:
            driver.Event().record(stream)
        except driver.LogicError as error:
            errors.append(str(error))

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors == ["a call without a current context"]


def test_copies_need_page_locked_memory(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    careless_cuda.retain().push()
    memory, stream = driver.mem_alloc(8), driver.Stream()
    with pytest.raises(driver.LogicError, match="not page-locked"):
        driver.memcpy_htod_async(memory, np.zeros(8, np.uint8), stream)
    with pytest.raises(driver.LogicError, match="not page-locked"):
        driver.memcpy_dtoh_async(np.zeros(8, np.uint8), memory, stream)


def test_memory_in_use_cannot_be_freed(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    careless_cuda.retain().push()
    memory, stream, host = driver.mem_alloc(8), driver.Stream(), driver.pagelocked_empty((8,), np.uint8)
    driver.memcpy_htod_async(memory, host, stream)
    with pytest.raises(driver.LogicError, match="freed while it is in use"):
        memory.free()
    stream.synchronize()
    memory.free()
    with pytest.raises(driver.LogicError, match="freed twice"):
        memory.free()
    with pytest.raises(driver.LogicError, match="address of freed memory"):
        driver.memcpy_htod_async(memory, host, stream)


def test_page_locked_memory_must_outlive_its_copies(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    careless_cuda.retain().push()
    memory, stream, host = driver.mem_alloc(8), driver.Stream(), driver.pagelocked_empty((8,), np.uint8)
    driver.memcpy_htod_async(memory, host, stream)
    del host
    assert careless_cuda.violations == ["page-locked memory is freed while it is in use"]
    with pytest.raises(driver.LogicError, match="freed memory is used"):
        stream.synchronize()


def test_what_is_left_is_found(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    context = careless_cuda.retain()
    context.push()
    with pytest.raises(AssertionError):
        careless_cuda.check_over()
    memory = driver.mem_alloc(8)
    event = driver.Event()
    driver.Context.pop()
    context.detach()
    del event
    assert careless_cuda.violations == [
        "the context is let go of while memory is in use",
        "an event is let go of outside its context",
    ]
    assert memory.alive


def test_streams_run_no_further_than_asked(careless_cuda: FakeCuda) -> None:
    driver = careless_cuda.module()
    careless_cuda.retain().push()
    first, second, done = driver.Stream(), driver.Stream(), driver.Event()
    ran: list[str] = []
    first.push(lambda: ran.append("before"))
    done.record(first)
    first.push(lambda: ran.append("after"))
    second.wait_for_event(driver.Event())
    second.push(lambda: ran.append("apart"))
    done.synchronize()
    assert ran == ["before"]
    second.synchronize()
    first.synchronize()
    assert ran == ["before", "apart", "after"]
