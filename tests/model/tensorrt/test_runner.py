"""Engines run for several threads simultaneously, on a GPU as lazy as CUDA allows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.workers import StalledError
from glandseg.model.tensorrt.runner import EngineRunner
from glandseg.model.tensorrt.stream import EngineError, EngineStreams
from tests.model.tensorrt.fake_cuda import FakeCuda, FakeTensorRt

Pixels = NDArray[np.uint8]
Run = Callable[..., EngineRunner]


def assert_right(answers: Pixels, windows: Pixels) -> None:
    assert answers.dtype == np.uint8
    assert np.array_equal(answers, np.stack([255 - windows[..., 0], windows[..., 0]], axis=1))


def test_windows_are_answered_in_whole_batches(run_engine: Run, trt: FakeTensorRt, windows: Pixels) -> None:
    runner = run_engine(batch=3)
    answers = runner.infer(windows)
    assert_right(answers, windows)
    assert_right(runner.infer(windows[:1]), windows[:1])
    assert runner.infer(windows[:0]).shape == (0, 2, 320, 320)
    assert set(trt.batches) == {3}
    runner.close()
    assert_right(answers, windows)


def test_windows_need_not_lie_in_one_piece(run_engine: Run, windows: Pixels) -> None:
    runner = run_engine()
    mirrored = windows[:, :, ::-1]
    assert_right(runner.infer(mirrored), mirrored)
    runner.close()


@pytest.mark.parametrize("slots", [1, 2, 3])
def test_many_threads_get_their_own_answers(run_engine: Run, slots: int) -> None:
    runner = run_engine(batch=2, slots=slots)
    random = np.random.default_rng(1)
    batches = [random.integers(0, 256, (1 + k % 3, 320, 320, 3), np.uint8) for k in range(24)]
    with ThreadPoolExecutor(6) as pool:
        for answers, windows in zip(pool.map(runner.infer, batches), batches, strict=True):
            assert_right(answers, windows)
    runner.close()


def test_calls_overlap(run_engine: Run, cuda: FakeCuda, windows: Pixels) -> None:
    runner = run_engine(slots=3)
    cuda.go_on.clear()
    cuda.hung.clear()
    with ThreadPoolExecutor(3) as pool:
        calls = [pool.submit(runner.infer, windows[k : k + 1]) for k in range(3)]
        assert cuda.hung.wait(20)
        end = time.monotonic() + 20
        while runner._free and time.monotonic() < end:
            time.sleep(0.01)
        taken = not runner._free
        cuda.go_on.set()
        for k, call in enumerate(calls):
            assert_right(call.result(), windows[k : k + 1])
    assert taken
    runner.close()


@pytest.mark.parametrize("dropped", ["arrived", "computed"])
def test_a_forgotten_wait_would_show(
    careless_cuda: FakeCuda, plan: Path, windows: Pixels, dropped: str
) -> None:
    from tests.model.tensorrt.fake_cuda import FakeTensorRt, Stream

    class Forgetful(Stream):
        def wait_for_event(self, event: Any) -> None:
            if event not in forgotten:
                super().wait_for_event(event)

    driver = careless_cuda.module()
    forgotten: list[Any] = []
    driver.Stream = lambda: Forgetful(careless_cuda, careless_cuda.current())
    context = careless_cuda.retain()
    context.push()
    streams = EngineStreams(driver, FakeTensorRt(careless_cuda), plan, batch=7, slots=1)
    forgotten.append(getattr(streams.slots[0], dropped))
    streams.slots[0].windows[:] = windows
    streams.enqueue(streams.slots[0])
    streams.finish(streams.slots[0])
    assert not np.array_equal(streams.slots[0].answers[:, 1], windows[..., 0])
    forgotten.clear()
    streams.enqueue(streams.slots[0])
    streams.finish(streams.slots[0])
    assert_right(streams.slots[0].answers, windows)


def test_reading_before_the_end_would_show(careless_cuda: FakeCuda, plan: Path, windows: Pixels) -> None:
    from tests.model.tensorrt.fake_cuda import FakeTensorRt

    careless_cuda.retain().push()
    streams = EngineStreams(careless_cuda.module(), FakeTensorRt(careless_cuda), plan, batch=7, slots=1)
    streams.slots[0].windows[:] = windows
    streams.enqueue(streams.slots[0])
    early = streams.slots[0].answers.copy()
    streams.slots[0].windows[:] = 7  # used again before its event
    streams.finish(streams.slots[0])
    assert not np.array_equal(early[:, 1], windows[..., 0])
    assert (streams.slots[0].answers[:, 1] == 7).all()


def test_a_refused_batch_fails_all_who_wait(run_engine: Run, trt: FakeTensorRt, windows: Pixels) -> None:
    runner = run_engine(slots=2)
    trt.accepts = False
    with ThreadPoolExecutor(6) as pool:
        calls = [pool.submit(runner.infer, windows[:2]) for _ in range(6)]
        for call in calls:
            with pytest.raises(EngineError, match="refuses to run the engine .enqueueV3: refused"):
                call.result(30)
    with pytest.raises(EngineError, match="refuses"):
        runner.infer(windows[:1])
    runner.close()
    runner._thread.join(20)
    assert not runner._thread.is_alive()


@pytest.mark.parametrize(
    "error", [RuntimeError("cuEventSynchronize failed: an illegal memory access"), SystemExit(9)]
)
def test_a_worker_that_dies_wakes_all(
    run_engine: Run, cuda: FakeCuda, windows: Pixels, error: BaseException
) -> None:
    runner = run_engine()
    cuda.failure = cuda.module().LogicError(str(error)) if isinstance(error, RuntimeError) else error
    with ThreadPoolExecutor(5) as pool:
        for call in [pool.submit(runner.infer, windows) for _ in range(5)]:
            with pytest.raises(EnvironmentLacksError, match=r"fake: the GPU failed \(.*nvidia-smi"):
                call.result(30)
    runner.close()


def test_a_stalled_gpu_wakes_all(run_engine: Run, cuda: FakeCuda, windows: Pixels) -> None:
    runner = run_engine(slots=2, stall_s=0.1, close_s=0.1)
    cuda.go_on.clear()
    with ThreadPoolExecutor(5) as pool:
        for call in [pool.submit(runner.infer, windows[:2]) for _ in range(5)]:
            with pytest.raises(StalledError, match="fake"):
                call.result(30)
    with pytest.raises(StalledError):
        runner.infer(windows[:1])
    runner.close()  # comes back although the GPU does not
    assert runner._thread.is_alive()
    cuda.go_on.set()
    runner._thread.join(20)


def test_closing_waits_for_calls_in_progress(run_engine: Run, cuda: FakeCuda, windows: Pixels) -> None:
    runner = run_engine(slots=2)
    cuda.go_on.clear()
    cuda.hung.clear()
    with ThreadPoolExecutor(2) as pool:
        call = pool.submit(runner.infer, windows[:2])
        assert cuda.hung.wait(20)
        closing = pool.submit(runner.close)
        cuda.go_on.set()
        assert_right(call.result(30), windows[:2])
        closing.result(30)
    with pytest.raises(ValueError, match="fake: closed"):
        runner.infer(windows[:1])


def test_all_gpu_calls_come_from_one_thread(run_engine: Run, cuda: FakeCuda, windows: Pixels) -> None:
    runner = run_engine()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(runner.infer, [windows] * 4))
    runner.close()
    assert set(cuda.stacks) <= {runner._thread.ident, threading.get_ident()}
    assert not runner._thread.is_alive()


@pytest.mark.parametrize("room", [0, 10, 700_000, 1_200_000, 2_000_000])
def test_too_little_memory_leaves_nothing_behind(run_engine: Run, cuda: FakeCuda, room: int) -> None:
    cuda.free_bytes = room
    with pytest.raises(MemoryError):
        run_engine(batch=2, slots=3)
    cuda.free_bytes = 1 << 30


def test_too_little_memory_at_the_first_run(run_engine: Run, cuda: FakeCuda) -> None:
    cuda.failure = cuda.module().MemoryError("cuEventSynchronize failed: out of memory")
    with pytest.raises(MemoryError, match="out of memory"):
        run_engine()


def test_an_engine_that_never_runs_leaves_nothing_behind(run_engine: Run, trt: FakeTensorRt) -> None:
    trt.accepts = False
    with pytest.raises(EngineError, match="refuses to run the engine"):
        run_engine()


def test_too_little_memory_later_is_reported(run_engine: Run, cuda: FakeCuda, windows: Pixels) -> None:
    runner = run_engine()
    cuda.failure = cuda.module().MemoryError("cuEventSynchronize failed: out of memory")
    with pytest.raises(EnvironmentLacksError, match="fake: the GPU failed .*out of memory"):
        runner.infer(windows)
    runner.close()


def test_bad_plans(run_engine: Run, plan: Path, trt: FakeTensorRt) -> None:
    with pytest.raises(EngineError, match=r"red\.engine: was not built for batches of 9\. Delete"):
        run_engine(batch=9)
    trt.dtype = trt.DataType.FLOAT
    with pytest.raises(EngineError, match=r"red\.engine: no engine of glandseg, its tensors are \['windows'"):
        run_engine()
    plan.write_bytes(b"other")
    with pytest.raises(EngineError, match="cannot load it .magic tag does not match"):
        run_engine()
    trt.complaint = "Requested amount of GPU memory could not be allocated: Error Code 2: OutOfMemory"
    with pytest.raises(MemoryError):
        run_engine()
