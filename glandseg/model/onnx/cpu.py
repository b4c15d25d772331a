"""A model on the CPU: the same bytes for any batch and any number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.core.system import release_memory
from glandseg.model.onnx.open_session import lacks_memory, open_on_cpu, read_session_card
from glandseg.model.ports import INPUT, OUTPUT, check_answers
from glandseg.model.windows import WINDOW_PX

_TRIAL = 2  # windows: a batch that is fixed to one inside the graph shows


class CpuRuns:
    """A model that ONNX Runtime runs on the CPU.

    Args:
        runtime: ONNX Runtime.
        path: of the .onnx file.
        threads: of the network.
        batch: windows that a call will hold, at most.

    Attributes:
        card: the model's own.
        identity: of the device.

    Raises:
        BadInputError: if the file is no gland segmenter.
    """

    identity = "cpu"

    def __init__(self, runtime: Any, path: Path, threads: int, batch: int) -> None:
        self._path = path
        self._session = open_on_cpu(runtime, path, threads)
        self.card = read_session_card(path, self._session)
        self._try_out(runtime, min(batch, _TRIAL))

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            BadInputError: if the model cannot run, or answers with something else.
            EnvironmentLacksError: if there is not enough memory for as many.
        """
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
        check_answers(probabilities, len(windows), str(self._path))
        return probabilities
