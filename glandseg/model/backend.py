"""The protocols of what runs a network, windows in, class probabilities out; and the size of its batches."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Say
from glandseg.core.errors import EnvironmentLacksError
from glandseg.model.card import ModelCard

BATCH = 8  # windows in one call, unless the user or an engine says otherwise


class Network(Protocol):
    """All that segmenting an image requires of a network."""

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute each window's class probabilities.

        Args:
            windows: (N, 320, 320, 3) uint8 RGB; not kept after the call.

        Returns:
            (N, classes, 320, 320) uint8, 255 for certainty; the caller owns it.
        """
        ...


class Backend(Network, Protocol):
    """A network ready to run; a context manager, whose end frees it.

    Attributes:
        name: Library and device for users, "ONNX Runtime 1.31.1, CPU".
        classes: Number of classes.
    """

    name: str
    classes: int

    def __enter__(self) -> Backend: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class ModelBackend(Backend, Protocol):
    """A model file ready to run on a device; `infer` may be called from several threads.

    Attributes:
        card: Model card.
        slots: Calls of `infer` that may overlap, each from its own thread; more of them wait.
    """

    card: ModelCard
    slots: int

    @property
    def identity(self) -> str:
        """Return what the last bits of the answers depend on, "onnxruntime 1.31.1 cpu float32".

        Work begun under one identity must not be finished under another.
        """
        ...

    def __enter__(self) -> ModelBackend: ...


def halve_batch(batch: int, gpu: str, say: Say) -> int:
    """Return half a batch that was too large for a GPU, and report it.

    Args:
        batch: Windows in one batch.
        gpu: Name of the GPU, for messages.
        say: Called with a line.

    Raises:
        EnvironmentLacksError: if there is nothing to halve.
    """
    if batch == 1:
        raise describe_small_memory(gpu)
    say(f"{gpu}: not enough GPU memory for {batch} windows in one batch; halved")
    return batch // 2


def describe_small_memory(gpu: str) -> EnvironmentLacksError:
    """Return the error to raise where not even one window fits."""
    return EnvironmentLacksError(
        f"{gpu}: not enough GPU memory for one window. "
        "Close other programs that use it, or give --device cpu."
    )
