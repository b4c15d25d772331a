"""A model on the CPU: the same bytes for any batch and any number of threads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import EnvironmentLacksError
from glandseg.runtime.network.model_opening import lacks_memory, open_on_cpu, read_session_card


class CpuRuns:
    """A model that ONNX Runtime runs on the CPU.

    Args:
        runtime: ONNX Runtime.
        path: of the .onnx file.
        threads: of the network.

    Attributes:
        card: the model's own.

    Raises:
        BadInputError: if the file is no gland segmenter.
    """

    def __init__(self, runtime: Any, path: Path, threads: int) -> None:
        self._session = open_on_cpu(runtime, path, threads)
        self.card = read_session_card(path, self._session)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 probabilities of (N, 320, 320, 3) uint8 RGB windows.

        Raises:
            EnvironmentLacksError: if the memory does not suffice for so many.
        """
        try:
            probabilities: NDArray[np.uint8] = self._session.run(
                None, {"windows": np.ascontiguousarray(windows)}
            )[0]
        except Exception as error:  # ONNX Runtime raises classes of its own that share no base
            if lacks_memory(error):
                raise EnvironmentLacksError(
                    f"CPU: the memory does not suffice for {len(windows)} windows at once. "
                    "Give a smaller --batch."
                ) from error
            raise
        return probabilities
