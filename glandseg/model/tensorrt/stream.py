"""An engine on a GPU with its buffers: batches copied in, computed and copied out on three CUDA streams.

A GPU copies in, computes and copies out with separate hardware, but only work on different streams overlaps:
on one stream the computing units idle during every copy. Events order the three steps of a batch across the
streams. Host memory is page-locked, for a copy from pageable memory blocks the thread that queues it. All
computing is on one stream, so one execution context, with one set of activations, serves every slot.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import numpy as np

from glandseg.core.errors import GlandsegError
from glandseg.model.tensorrt.log import find_reason, open_log
from glandseg.model.windows import WINDOW_PX

_MEMORY_SIGNS = ("outofmemory", "insufficientmemory", "notenoughmemory", "memoryallocation", "allocatememory")
_REBUILD = "Delete the file; it is built again."


class EngineError(GlandsegError):
    """An engine cannot be used, or refuses to run (exit code 4)."""


class Slot:
    """Buffers of one batch, on both sides of the bus, and the events that order its three steps.

    Attributes:
        windows: (batch, 320, 320, 3) uint8 RGB in page-locked memory.
        answers: (batch, classes, 320, 320) uint8 probabilities in page-locked memory.
    """

    def __init__(self, driver: Any, batch: int, classes: int) -> None:
        self.windows: Any = None
        self.answers: Any = None
        self.windows_gpu: Any = None
        self.answers_gpu: Any = None
        self.arrived: Any = None
        self.computed: Any = None
        self.done: Any = None
        try:
            self._allocate(driver, batch, classes)
        except BaseException:
            self.close()
            raise

    def _allocate(self, driver: Any, batch: int, classes: int) -> None:
        flags = driver.event_flags.DISABLE_TIMING | driver.event_flags.BLOCKING_SYNC
        self.arrived = driver.Event(flags)
        self.computed = driver.Event(flags)
        self.done = driver.Event(flags)
        self.windows = driver.pagelocked_empty((batch, WINDOW_PX, WINDOW_PX, 3), np.uint8)
        self.answers = driver.pagelocked_empty((batch, classes, WINDOW_PX, WINDOW_PX), np.uint8)
        self.windows_gpu = driver.mem_alloc(self.windows.nbytes)
        self.answers_gpu = driver.mem_alloc(self.answers.nbytes)

    def close(self) -> None:
        """Free the GPU's memory; page-locked memory is freed with its last reference."""
        for memory in (self.windows_gpu, self.answers_gpu):
            if memory is not None:
                memory.free()
        self.windows_gpu = self.answers_gpu = self.windows = self.answers = None
        self.arrived = self.computed = self.done = None


class EngineStreams:
    """An engine with its execution context, streams and buffers, which belong to the thread that made them.

    Args:
        driver: PyCUDA's module; a CUDA context must be current.
        trt: TensorRT's module.
        plan: Engine file, checked before.
        batch: Windows in one batch.
        slots: Batches that may be under way simultaneously.

    Attributes:
        slots: Buffers of each batch.
        classes: Number of classes.

    Raises:
        MemoryError: if the GPU has not enough memory.
        EngineError: if the engine cannot be used.
    """

    def __init__(self, driver: Any, trt: Any, plan: Path, *, batch: int, slots: int) -> None:
        self._driver = driver
        self.slots: list[Slot] = []
        self._context: Any = None
        self._streams: list[Any] = []
        try:
            self._load(trt, plan, batch)
            for _ in range(slots):
                self.slots.append(Slot(driver, batch, self.classes))
            for _ in range(3):
                self._streams.append(driver.Stream())
            self._warm_up()
        except BaseException as error:
            self.close()
            error.__traceback__ = None  # its frames hold streams, which must be freed inside the context
            if _is_memory_error(str(error)):
                raise MemoryError(str(error)) from None
            raise error

    def _load(self, trt: Any, plan: Path, batch: int) -> None:
        self._log = open_log(trt)
        self._runtime = trt.Runtime(self._log)
        self._engine = self._runtime.deserialize_cuda_engine(plan.read_bytes())
        if self._engine is None:
            raise EngineError(f"{plan}: TensorRT cannot load it ({find_reason(self._log)}). {_REBUILD}")
        self._input, self._output = _name_tensors(trt, self._engine, plan)
        self.classes = int(self._engine.get_tensor_shape(self._output)[1])
        self._context = self._engine.create_execution_context()
        if self._context is None:
            reason = find_reason(self._log)
            if _is_memory_error(reason):
                raise MemoryError(f"{plan}: {reason}")
            raise EngineError(f"{plan}: TensorRT cannot run it ({reason}). {_REBUILD}")
        if not self._context.set_input_shape(self._input, (batch, WINDOW_PX, WINDOW_PX, 3)):
            raise EngineError(f"{plan}: was not built for batches of {batch}. {_REBUILD}")

    def _warm_up(self) -> None:
        """Run every slot once: the first run loads kernels."""
        for slot in self.slots:
            self.enqueue(slot)
            self.finish(slot)

    def enqueue(self, slot: Slot) -> None:
        """Queue the batch in `slot.windows`; `slot.answers` holds its probabilities once `finish` returns.

        Raises:
            EngineError: if TensorRT refuses it; the slot's answers are then stale.
        """
        copy_in, compute, copy_out = self._streams
        self._driver.memcpy_htod_async(slot.windows_gpu, slot.windows, copy_in)
        slot.arrived.record(copy_in)
        compute.wait_for_event(slot.arrived)
        taken = self._context.set_tensor_address(self._input, int(slot.windows_gpu))
        taken &= self._context.set_tensor_address(self._output, int(slot.answers_gpu))
        if not (taken and self._context.execute_async_v3(compute.handle)):
            raise EngineError(f"TensorRT refuses to run the engine ({find_reason(self._log)}).")
        slot.computed.record(compute)
        copy_out.wait_for_event(slot.computed)
        self._driver.memcpy_dtoh_async(slot.answers, slot.answers_gpu, copy_out)
        slot.done.record(copy_out)

    def finish(self, slot: Slot) -> None:
        """Wait for a queued batch."""
        slot.done.synchronize()

    def close(self) -> None:
        """Wait for queued batches, then free everything."""
        with contextlib.suppress(self._driver.Error):  # a GPU that failed before fails again
            self._synchronize()
        for slot in self.slots:
            slot.close()
        self._streams.clear()
        self._context = self._engine = self._runtime = None

    def _synchronize(self) -> None:
        for stream in self._streams:
            stream.synchronize()


def _name_tensors(trt: Any, engine: Any, plan: Path) -> tuple[str, str]:
    names: dict[Any, list[str]] = {trt.TensorIOMode.INPUT: [], trt.TensorIOMode.OUTPUT: []}
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        names[engine.get_tensor_mode(name)].append(name)
    inputs, outputs = names.values()
    kinds = {engine.get_tensor_dtype(name) for name in inputs + outputs}
    if (len(inputs), len(outputs)) != (1, 1) or kinds != {trt.DataType.UINT8}:
        raise EngineError(f"{plan}: no engine of glandseg, its tensors are {inputs + outputs}. {_REBUILD}")
    return inputs[0], outputs[0]


def _is_memory_error(text: str) -> bool:
    """Return whether an error of PyCUDA or TensorRT is for lack of memory."""
    squeezed = re.sub(r"[\s_]", "", text.lower())
    return any(sign in squeezed for sign in _MEMORY_SIGNS)
