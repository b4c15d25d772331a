"""A model on the CPU: the same bytes for any batch and any number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.runtime.network.model_opening import lacks_memory, open_on_cpu, read_session_card
from glandseg.runtime.ports import INPUT, OUTPUT, check_answers
from glandseg.runtime.windows import WINDOW_PX


class CpuRuns:
    """A model that ONNX Runtime runs on the CPU.

    Args:
        runtime: ONNX Runtime.
        path: of the .onnx file.
        threads: of the network.

    Attributes:
        card: the model's own.
        identity: of the device.

    Raises:
        BadInputError: if the file is no gland segmenter.
    """

    identity = "cpu"

    def __init__(self, runtime: Any, path: Path, threads: int) -> None:
        self._path = path
        self._session = open_on_cpu(runtime, path, threads)
        self.card = read_session_card(path, self._session)
        # What a graph declares may be wrong; only a run tells, and should before a slide is opened.
        self.infer(np.zeros((1, WINDOW_PX, WINDOW_PX, 3), np.uint8))

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            BadInputError: if the model cannot run, or answers with something else.
            EnvironmentLacksError: if there is not enough memory for as many.
        """
        try:
            probabilities: NDArray[np.uint8] = self._session.run(
                [OUTPUT], {INPUT: np.ascontiguousarray(windows)}
            )[0]
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
