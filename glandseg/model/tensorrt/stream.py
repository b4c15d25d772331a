"""An engine on a GPU with its buffers: batches copied in, computed and copied out on three streams."""

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
        windows: (batch, 320, 320, 3) uint8 in page-locked memory.
        answers: (batch, classes, 320, 320) uint8 in page-locked memory.
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
        """Free the GPU's memory; page-locked memory goes when nobody reads it any more."""
        for memory in (self.windows_gpu, self.answers_gpu):
            if memory is not None:
                memory.free()
        self.windows_gpu = self.answers_gpu = self.windows = self.answers = None
        self.arrived = self.computed = self.done = None


class Lane:
    """An engine ready to run batches; all of it belongs to the thread that made it.

    One execution context serves all slots, for all computing is on one stream: TensorRT takes the addresses
    when a batch is queued, and activations are held once.

    Args:
        driver: PyCUDA's module; a context must be current.
        trt: TensorRT's module.
        plan: the engine's file; it was checked before.
        batch: windows at once.
        slots: batches that may be under way at once.

    Attributes:
        slots: the buffers.
        classes: number of classes.

    Raises:
        MemoryError: if the GPU's memory does not suffice.
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
            error.__traceback__ = None  # its frames hold streams, which must go while the context is here
            if _tells_of_memory(str(error)):
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
            if _tells_of_memory(reason):
                raise MemoryError(f"{plan}: {reason}")
            raise EngineError(f"{plan}: TensorRT cannot run it ({reason}). {_REBUILD}")
        if not self._context.set_input_shape(self._input, (batch, WINDOW_PX, WINDOW_PX, 3)):
            raise EngineError(f"{plan}: was not built for batches of {batch}. {_REBUILD}")

    def _warm_up(self) -> None:
        """Run every slot once: the first run loads what later ones need."""
        for slot in self.slots:
            self.enqueue(slot)
            self.finish(slot)

    def enqueue(self, slot: Slot) -> None:
        """Queue a batch: what lies in `slot.windows` is answered in `slot.answers` once `finish` returns.

        Raises:
            EngineError: if TensorRT refuses; the slot's answers are then stale.
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
        """Wait until a queued batch is answered."""
        slot.done.synchronize()

    def close(self) -> None:
        """Wait for what is queued, then free everything."""
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


def _tells_of_memory(text: str) -> bool:
    """Whether an error, in the words of PyCUDA or TensorRT, is for lack of memory."""
    squeezed = re.sub(r"[\s_]", "", text.lower())
    return any(sign in squeezed for sign in _MEMORY_SIGNS)
