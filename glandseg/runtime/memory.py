"""How a ceiling of memory is kept: caches of a fixed share, and batches that were measured to fit."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from glandseg.runtime.errors import EnvironmentLacksError
from glandseg.runtime.windows import WINDOW_PX

GIB = 1 << 30
DECODER_SHARE, PLANE_SHARE = 1 / 16, 1 / 16  # of the ceiling: decoded parts of the file, resampled px
_SPARE_BYTES = 160 << 20  # for windows under way, tracing and writing
_WINDOW_BYTES = WINDOW_PX * WINDOW_PX * 3


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be held in memory.

    Attributes:
        ceiling: bytes that the process may take.
    """

    ceiling: int

    @property
    def decoder_cache(self) -> int:
        """Bytes for decoded parts of the slide's file."""
        return int(self.ceiling * DECODER_SHARE)

    @property
    def plane_cache(self) -> int:
        """Bytes for resampled px, over all scales."""
        return int(self.ceiling * PLANE_SHARE)

    @property
    def reserve(self) -> int:
        """Bytes that all but the network may take beyond what the process holds when the slide is opened."""
        return self.decoder_cache + self.plane_cache + _SPARE_BYTES


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How the network runs here.

    Attributes:
        batch: windows a call.
        window_s: seconds a window, from a first call; later ones are rather faster.
        peak: bytes that the process will take, as far as can be told.
    """

    batch: int
    window_s: float
    peak: int


def measure_pace(infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], batch: int, budget: Budget) -> Pace:
    """Run the network on empty windows, and choose the largest batch up to `batch` that the ceiling allows.

    Raises:
        EnvironmentLacksError: not even one window fits.
    """
    bare = measure_memory()
    infer(make_blanks(1))
    one = measure_memory()
    start = time.perf_counter()
    infer(make_blanks(min(batch, 2)))
    window_s = (time.perf_counter() - start) / min(batch, 2)
    each = max(one - bare, measure_memory() - one, 0) + _WINDOW_BYTES
    room = budget.ceiling - budget.reserve - one
    if room < 0:
        raise EnvironmentLacksError(
            f"--max-ram {budget.ceiling / GIB:.2g}: this model needs {(one + budget.reserve) / GIB:.2g} GiB "
            "on this machine. Give more."
        )
    fitting = min(batch, 1 + int(room // each))
    return Pace(batch=fitting, window_s=window_s, peak=one + budget.reserve + (fitting - 1) * each)


def measure_memory() -> int:
    """Give the bytes that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def make_blanks(count: int) -> NDArray[np.uint8]:
    """Make windows of glass, (count, 320, 320, 3) uint8."""
    return np.full((count, WINDOW_PX, WINDOW_PX, 3), 240, np.uint8)
