"""A GPU that is as lazy as CUDA allows: what was not waited for has not happened.

Stands in for the part of PyCUDA's `driver` module and of TensorRT's runtime that the backends call. Copies
and computing run only when something synchronises, in the order of their streams and events, each stream no
further than asked; memory begins as rubbish. What CUDA would leave undefined raises, and is kept in
`violations`.
"""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Answer = Callable[[Pixels], Pixels]
RUBBISH = 0xCD


def answer_red(windows: Pixels) -> Pixels:
    """The network "red is gland": (N, H, W, 3) to (N, 2, H, W)."""
    return np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)


class CudaError(Exception):
    """As `pycuda.driver.Error`."""


class CudaLogicError(CudaError):
    """As `pycuda.driver.LogicError`."""


class CudaMemoryError(CudaError):
    """As `pycuda.driver.MemoryError`, which is not Python's."""


class Pinned:
    """Page-locked memory, alive as long as an array lies in it."""

    def __init__(self, cuda: FakeCuda, size: int) -> None:
        self.cuda, self.alive = cuda, True
        self.bytes = np.full(size, RUBBISH, np.uint8)
        self.context = cuda.current()
        self.__array_interface__ = {**self.bytes.__array_interface__}

    def __del__(self) -> None:
        self.alive = False
        self.cuda.check_release(self.context, "page-locked memory")
        with contextlib.suppress(CudaLogicError):  # kept already; a destructor cannot raise
            self.cuda.check_unused(self.bytes, "page-locked memory")


class Allocation:
    """Memory of the GPU."""

    def __init__(self, cuda: FakeCuda, size: int) -> None:
        self.cuda, self.context = cuda, cuda.current()
        self.bytes = np.full(size, RUBBISH, np.uint8)
        self.address = cuda.place(self)
        self.alive = True

    def __int__(self) -> int:
        if not self.alive:
            raise self.cuda.violate("the address of freed memory is used")
        return self.address

    def free(self) -> None:
        if not self.alive:
            raise self.cuda.violate("memory is freed twice")
        self.cuda.check_release(self.context, "memory of the GPU")
        self.cuda.check_unused(self.bytes, "memory of the GPU")
        self.alive = False
        self.cuda.used -= len(self.bytes)
        del self.cuda.memory[self.address]

    def __del__(self) -> None:
        if self.alive:
            self.cuda.violate("memory of the GPU was never freed")


@dataclass
class Step:
    """A step of a stream, and the memory that it touches."""

    run: Callable[[], None]
    touches: list[Pixels] = field(default_factory=list)


class Stream:
    def __init__(self, cuda: FakeCuda, context: PrimaryContext) -> None:
        self.cuda, self.context = cuda, context
        self.steps: list[Step] = []
        self.handle = cuda.name_stream(self)

    def push(self, run: Callable[[], None], *touches: Pixels) -> None:
        self.cuda.current()
        self.steps.append(Step(run, list(touches)))

    def wait_for_event(self, event: Event) -> None:
        self.push(event.capture())

    def run_until(self, marker: object) -> None:
        """Run steps until the marked one is done; all of them for None."""
        while self.steps and not (marker is not None and marker in self.cuda.reached):
            self.steps.pop(0).run()

    def synchronize(self) -> None:
        self.cuda.synchronise()
        self.run_until(None)

    def __del__(self) -> None:
        self.cuda.check_release(self.context, "a stream")


class Event:
    def __init__(self, cuda: FakeCuda, context: PrimaryContext) -> None:
        self.cuda, self.context = cuda, context
        self.recorded: tuple[Stream, object] | None = None

    def record(self, stream: Stream) -> Event:
        marker = object()
        self.recorded = (stream, marker)
        stream.push(lambda: self.cuda.reached.add(marker))
        return self

    def capture(self) -> Callable[[], None]:
        """Return what waits for the latest record, as of now; nothing for an event never recorded."""
        recorded = self.recorded
        return lambda: recorded[0].run_until(recorded[1]) if recorded else None

    def synchronize(self) -> Event:
        self.cuda.synchronise()
        self.capture()()
        return self

    def __del__(self) -> None:
        self.cuda.check_release(self.context, "an event")


class PrimaryContext:
    def __init__(self, cuda: FakeCuda) -> None:
        self.cuda = cuda

    def push(self) -> None:
        self.cuda.stack().append(self)

    def detach(self) -> None:
        if self.cuda.stack() and self.cuda.stack()[-1] is self:  # as PyCUDA does where a pop failed
            self.cuda.stack().pop()
        if self.cuda.memory:
            self.cuda.violate("the context is let go of while memory is in use")
        self.cuda.retained -= 1


class FakeCuda:
    """A machine with one GPU.

    Attributes:
        violations: of CUDA's rules, in order; a test ends with none.
        go_on: cleared, it lets whatever waits for the GPU hang.
        free_bytes: of the GPU.
        used: bytes in use.
        failure: raised by what waits for the GPU; CUDA's own for good, others once.
        hung: is set once something waits.
        lost: the GPU is gone; contexts cannot be popped.
    """

    def __init__(self, free_bytes: int = 1 << 30) -> None:
        self.violations: list[str] = []
        self.reached: set[object] = set()
        self.memory: dict[int, Allocation] = {}
        self.streams: dict[int, Any] = {}
        self.stacks: dict[int, list[PrimaryContext]] = {}
        self.free_bytes, self.used, self.retained = free_bytes, 0, 0
        self.go_on = threading.Event()
        self.go_on.set()
        self.hung = threading.Event()
        self.failure: BaseException | None = None
        self.lost = False
        self._next = 0x10000

    def module(self) -> Any:
        """Return what stands in for `pycuda.driver`."""
        return SimpleNamespace(
            Error=CudaError,
            LogicError=CudaLogicError,
            MemoryError=CudaMemoryError,
            init=lambda: None,
            Device=type(
                "Device",
                (),
                {
                    "__init__": lambda self, ordinal: None,
                    "count": staticmethod(lambda: 1),
                    "name": lambda self: "Fake GPU",
                    "retain_primary_context": lambda device: self.retain(),
                },
            ),
            Context=SimpleNamespace(pop=self.pop),
            Stream=lambda: Stream(self, self.current()),
            Event=lambda flags=0: Event(self, self.current()),
            event_flags=SimpleNamespace(DISABLE_TIMING=2, BLOCKING_SYNC=1),
            mem_alloc=self.allocate,
            pagelocked_empty=self.pin,
            memcpy_htod_async=self.copy_in,
            memcpy_dtoh_async=self.copy_out,
        )

    def check_over(self) -> None:
        """Raise unless every rule was kept and everything freed."""
        stacks = [stack for stack in self.stacks.values() if stack]
        assert not self.violations, self.violations
        assert (stacks, self.retained, self.memory, self.used) == ([], 0, {}, 0)

    def violate(self, what: str) -> CudaLogicError:
        """Record a broken rule, and return the error to raise."""
        self.violations.append(what)
        return CudaLogicError(what)

    def stack(self) -> list[PrimaryContext]:
        return self.stacks.setdefault(threading.get_ident(), [])

    def current(self) -> PrimaryContext:
        if not self.stack():
            raise self.violate("a call without a current context")
        return self.stack()[-1]

    def retain(self) -> PrimaryContext:
        self.retained += 1
        return PrimaryContext(self)

    def pop(self) -> None:
        if not self.stack():
            raise self.violate("the context stack is empty already")
        if self.lost:
            raise CudaError("cuCtxPopCurrent failed: device unavailable")
        self.stack().pop()

    def allocate(self, size: int) -> Allocation:
        self.current()
        if self.used + size > self.free_bytes:
            raise CudaMemoryError("cuMemAlloc failed: out of memory")
        self.used += size
        return Allocation(self, size)

    def place(self, allocation: Allocation) -> int:
        self._next += 0x1000
        self.memory[self._next] = allocation
        return self._next

    def name_stream(self, stream: Stream) -> int:
        self._next += 0x1000
        self.streams[self._next] = weakref.ref(stream)
        return self._next

    def pin(self, shape: tuple[int, ...], dtype: Any) -> Pixels:
        self.current()
        memory = Pinned(self, int(np.prod(shape)) * np.dtype(dtype).itemsize)
        array: Pixels = np.asarray(memory).view(dtype).reshape(shape)
        return array

    def copy_in(self, to: Allocation, source: Pixels, stream: Stream) -> None:
        pinned, raw = self.find_pinned(source)
        int(to)

        def run() -> None:
            self.check_alive(pinned(), to)
            to.bytes[: raw.nbytes] = raw

        stream.push(run, raw, to.bytes)

    def copy_out(self, to: Pixels, source: Allocation, stream: Stream) -> None:
        pinned, raw = self.find_pinned(to)
        int(source)

        def run() -> None:
            self.check_alive(pinned(), source)
            raw[:] = source.bytes[: raw.nbytes]

        stream.push(run, raw, source.bytes)

    def find_pinned(self, array: Pixels) -> tuple[weakref.ref[Pinned], Pixels]:
        """Find the page-locked memory that an array lies in, and its bytes there; neither keeps it alive."""
        base: Any = array
        while isinstance(base, np.ndarray) and base.base is not None:
            base = base.base
        if not (isinstance(base, Pinned) and array.flags.c_contiguous):
            raise self.violate("an asynchronous copy of memory that is not page-locked")
        first = array.ctypes.data - base.bytes.ctypes.data
        return weakref.ref(base), base.bytes[first : first + array.nbytes]

    def check_alive(self, *memories: Any) -> None:
        if not all(memory is not None and memory.alive for memory in memories):
            raise self.violate("freed memory is used")

    def check_unused(self, memory: Pixels, what: str) -> None:
        for found in self.list_streams():
            if any(np.shares_memory(memory, used) for step in found.steps for used in step.touches):
                raise self.violate(f"{what} is freed while it is in use")

    def check_release(self, context: PrimaryContext, what: str) -> None:
        if not self.stack() or self.stack()[-1] is not context:
            self.violate(f"{what} is let go of outside its context")

    def list_streams(self) -> Iterator[Stream]:
        for reference in list(self.streams.values()):
            if (found := reference()) is not None:
                yield found

    def synchronise(self) -> None:
        """Wait for the GPU."""
        self.current()
        self.hung.set()
        self.go_on.wait()
        if isinstance(self.failure, CudaError):  # all that was queued is lost, all that follows fails
            for stream in self.list_streams():
                stream.steps.clear()
            raise self.failure
        if self.failure is not None:
            failure, self.failure = self.failure, None
            raise failure


def make_engine(dtype: int, make_context: Callable[[], Any]) -> SimpleNamespace:
    """An engine of two classes, as TensorRT describes it; all its tensors are of one type."""
    shapes = {"windows": (-1, 320, 320, 3), "probabilities": (-1, 2, 320, 320)}
    names = list(shapes)
    return SimpleNamespace(
        num_io_tensors=2,
        get_tensor_name=names.__getitem__,
        get_tensor_mode=lambda name: 1 + names.index(name),
        get_tensor_dtype=lambda name: dtype,
        get_tensor_shape=shapes.__getitem__,
        create_execution_context=make_context,
    )


class FakeTensorRt:
    """TensorRT's runtime on a fake GPU; every plan holds the same network.

    Attributes:
        accepts: whether batches are taken; False as TensorRT does when it refuses to enqueue.
        batches: that were computed.
        contexts: whether execution contexts are made; False as TensorRT does, with `complaint` in the log.
    """

    __name__ = "tensorrt"
    __version__ = "11.4.0"

    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING = 0, 1, 2

    TensorIOMode = SimpleNamespace(INPUT=1, OUTPUT=2)
    DataType = SimpleNamespace(FLOAT=0, UINT8=5)

    def __init__(self, cuda: FakeCuda, answer: Answer = answer_red, *, most: int = 8) -> None:
        self.cuda, self.answer, self.most = cuda, answer, most
        self.accepts, self.dtype, self.complaint = True, 5, "magic tag\ndoes not match"
        self.contexts = True
        self.batches: list[int] = []
        self.logger: Any = None

    def Runtime(self, logger: Any) -> Any:
        self.cuda.current()
        self.logger = logger
        return SimpleNamespace(deserialize_cuda_engine=self.load)

    def load(self, plan: bytes) -> Any:
        self.cuda.current()
        if plan != b"plan":
            self.logger.log(1, self.complaint)
            return None
        return make_engine(self.dtype, self.make_context)

    def make_context(self) -> ExecutionContext | None:
        if self.contexts:
            return ExecutionContext(self)
        self.logger.log(1, self.complaint)
        return None


class ExecutionContext:
    def __init__(self, trt: FakeTensorRt) -> None:
        self.trt, self.cuda = trt, trt.cuda
        self.addresses: dict[str, int] = {}
        self.batch = 0
        self.busy: Any = None

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        self.batch = shape[0]
        return shape[0] <= self.trt.most and shape[1:] == (320, 320, 3)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return address in self.cuda.memory

    def execute_async_v3(self, handle: int) -> bool:
        self.cuda.current()
        if not self.trt.accepts:
            self.trt.logger.log(1, "enqueueV3: refused")
            return False
        stream: Stream = self.cuda.streams[handle]()
        if self.busy is not None and self.busy is not stream:
            raise self.cuda.violate("one execution context on two streams")
        self.busy = stream
        windows, answers = (self.cuda.memory[self.addresses[name]] for name in ("windows", "probabilities"))
        batch = self.batch

        def run() -> None:
            self.cuda.check_alive(windows, answers)
            pixels = windows.bytes[: batch * 320 * 320 * 3].reshape(batch, 320, 320, 3)
            answers.bytes[: batch * 2 * 320 * 320] = self.trt.answer(pixels.copy()).ravel()
            self.trt.batches.append(batch)

        stream.push(run, windows.bytes, answers.bytes)
        return True
