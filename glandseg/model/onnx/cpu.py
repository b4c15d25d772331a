"""A model run by ONNX Runtime on the CPU: the same bytes for any batch and any number of threads."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.core.system import count_cpus, release_memory
from glandseg.model.backend import BATCH
from glandseg.model.onnx.onnx_file import read_onnx_card
from glandseg.model.onnx.open_session import (
    import_onnxruntime,
    lacks_memory,
    open_on_cpu,
)
from glandseg.model.ports import INPUT, OUTPUT, check_answers, check_ports
from glandseg.model.windows import WINDOW_PX

MAX_THREADS = 1024
_TRIAL = 2  # windows: a batch that is fixed to one inside the graph shows


class CpuSession:
    """A model ready to run on the CPU; it holds memory until it is closed.

    Args:
        path: ONNX file.
        threads: Threads of the network; 0 takes all CPUs that this process may use.
        batch: Maximum batch size, in windows.

    Attributes:
        card: Model card.
        name: Library and device, "ONNX Runtime 1.31.1, CPU".
        classes: Number of classes.
        slots: Calls of `infer` that may overlap.
        identity: What the last bits of the answers depend on.

    Raises:
        BadInputError: if the file is no gland segmenter.
        EnvironmentLacksError: if ONNX Runtime is missing.
    """

    slots = 1

    def __init__(self, path: Path, *, threads: int = 0, batch: int = BATCH) -> None:
        if not 0 <= threads <= MAX_THREADS:
            raise BadInputError(
                f"--threads: 0 to {MAX_THREADS}, where 0 takes all CPUs. Received: {threads}."
            )
        runtime = import_onnxruntime()
        self._path = path
        self._session = open_on_cpu(runtime, path, threads or count_cpus())
        self.card = read_onnx_card(path)
        self.classes = len(self.card.classes)
        check_ports(path, self._session.get_inputs(), self._session.get_outputs(), self.classes)
        self.name = f"ONNX Runtime {runtime.__version__}, CPU"
        self.identity = f"onnxruntime {runtime.__version__} cpu {self.card.precision}"
        self._try_out(runtime, min(batch, _TRIAL))

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            BadInputError: if the model cannot run, or answers with something else.
            EnvironmentLacksError: if there is not enough memory.
        """
        if self._session is None:
            raise ValueError("the session is closed")
        return self._run(np.ascontiguousarray(windows), None)

    def _try_out(self, runtime: Any, count: int) -> None:
        """Run empty windows: what a graph declares may be wrong, and should show before a slide is opened.

        The memory goes back to the system, for what a window takes is measured later.
        """
        options = runtime.RunOptions()
        options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        self._run(np.zeros((count, WINDOW_PX, WINDOW_PX, 3), np.uint8), options)
        release_memory()

    def _run(self, windows: NDArray[np.uint8], options: Any) -> NDArray[np.uint8]:
        try:
            probabilities: NDArray[np.uint8] = self._session.run([OUTPUT], {INPUT: windows}, options)[0]
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            if lacks_memory(error):
                raise EnvironmentLacksError(
                    f"CPU: not enough memory for {len(windows)} windows in one batch. Give a smaller --batch."
                ) from error
            raise BadInputError(
                f"{self._path}: ONNX Runtime cannot run it on {len(windows)} windows ({shorten(error)}). "
                "Give a model that `glandseg export` made."
            ) from error
        check_answers(probabilities, len(windows), self.classes, str(self._path))
        return probabilities

    def __enter__(self) -> CpuSession:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the model."""
        self._session = None
