"""What runs the network: windows in, class probabilities out."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """A network ready to run; a context manager that frees it.

    Attributes:
        name: what runs where, as users are told: "ONNX Runtime 1.31.1, CPU".
        classes: number of classes.
    """

    name: str
    classes: int

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give each window's class probabilities.

        Args:
            windows: (N, 320, 320, 3) uint8 RGB; the backend reads it only during the call.

        Returns:
            (N, classes, 320, 320) uint8, 255 for certainty; the caller owns it.
        """
        ...

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
