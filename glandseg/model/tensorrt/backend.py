"""A model run by TensorRT through PyCUDA."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.model.backend import halve_batch
from glandseg.model.tensorrt.driver import held_context
from glandseg.model.tensorrt.engine_file import EngineFile
from glandseg.model.tensorrt.runner import EngineRunner
from glandseg.model.tensorrt.stream import EngineStreams

SLOTS = 3  # one copied in or out, one computing, one ready to compute
FindEngine = Callable[["int | None"], EngineFile]


class EngineBackend:
    """An engine ready to run; `infer` may be called from any number of threads.

    Args:
        driver: PyCUDA's module, from `load_driver`.
        find: Called with the batch, or None for any; returns a checked engine.
        ordinal: Number of the GPU.
        batch: Windows in one batch; None means the engine's. Halved while the GPU has not enough memory.
        slots: Batches that may be under way simultaneously.
        say: Called with a line for each smaller batch.

    Attributes:
        name: Library and device.
        classes: Number of classes.
        card: Model card.
        precision: Precision that the engine computes in.
        slots: Calls of `infer` that may overlap.
        identity: What the last bits of the answers depend on; engines built twice may differ in them.

    Raises:
        EnvironmentLacksError: if the GPU has not enough memory for one window.
        GlandsegError: if the engine cannot be used.
    """

    def __init__(
        self,
        driver: Any,
        find: FindEngine,
        *,
        ordinal: int = 0,
        batch: int | None = None,
        slots: int = SLOTS,
        say: Say = lambda text: None,
    ) -> None:
        self.slots = slots
        gpu = driver.Device(ordinal).name()
        runner = None
        while runner is None:
            engine = find(batch)
            batch = engine.facts.batch
            self._describe(engine, gpu)
            runner = self._try(driver, engine, ordinal)
            if runner is None:
                batch = halve_batch(batch, gpu, say)
        self._runner, self.classes = runner, runner.classes

    def _describe(self, engine: EngineFile, gpu: str) -> None:
        facts = engine.facts
        self.card, self.precision = engine.card, facts.precision
        self.name = f"{engine.trt_package} through PyCUDA, {gpu}, {facts.precision}, batches of {facts.batch}"
        self.identity = (
            f"{facts.package} {facts.version} {gpu} plan {facts.plan_sha256[:16]} {facts.precision}"
        )

    def _try(self, driver: Any, engine: EngineFile, ordinal: int) -> EngineRunner | None:
        """Start the engine; return None where the GPU has not enough memory."""
        trt, plan, batch, slots = engine.trt_package.module, engine.path, engine.facts.batch, self.slots
        try:
            return EngineRunner(
                self.name,
                held_context(driver, ordinal),
                lambda: EngineStreams(driver, trt, plan, batch=batch, slots=slots),
                batch=batch,
            )
        except MemoryError:
            return None

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            StalledError: if the GPU does not answer.
            GlandsegError: if the engine fails.
        """
        return self._runner.infer(windows)

    def __enter__(self) -> EngineBackend:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the GPU."""
        self._runner.close()
