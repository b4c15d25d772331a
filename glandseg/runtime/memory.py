"""Memory kept below a ceiling: caches of a fixed share, and batches that were measured to fit.

What a network takes depends on model, library and device, so that it is measured by running it rather than
estimated.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import psutil
from numpy.typing import NDArray

from glandseg.core.errors import EnvironmentLacksError
from glandseg.core.units import GIB
from glandseg.model.windows import WINDOW_PX

CACHE_SHARE = 1 / 64  # of the ceiling: for decoded parts of the file, and as much for each plane
MAX_SHARES = 8
_SPARE_BYTES = 160 << 20  # for windows under way, tracing and writing
_START_BYTES = (
    1 << 30
)  # of Python, libraries and a large model; what a host program holds besides is not counted
_WINDOW_BYTES = WINDOW_PX * WINDOW_PX * 3


@dataclass(frozen=True, kw_only=True)
class Budget:
    """Limits of memory.

    Attributes:
        ceiling: Bytes that the process may take.
    """

    ceiling: int

    @property
    def decoder_cache(self) -> int:
        """Bytes for decoded parts of the slide's file."""
        return int(self.ceiling * CACHE_SHARE)

    def share_planes(self, planes: int) -> int:
        """Return the bytes for resampled px of all planes together."""
        return int(self.ceiling * CACHE_SHARE * min(planes, MAX_SHARES))

    def reserve(self, planes: int) -> int:
        """Return the bytes that all but the network may take on top of those held at the start."""
        return self.decoder_cache + self.share_planes(planes) + _SPARE_BYTES


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Speed and memory of the network on this machine.

    Attributes:
        batch: Windows per call.
        window_s: Seconds per window of a first call; later ones are somewhat faster.
        peak: Bytes that the process is expected to take.
    """

    batch: int
    window_s: float
    peak: int


def measure_pace(
    infer: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    batch: int,
    ceiling: int,
    reserve: int,
    slide_bytes: int = 0,
) -> Pace:
    """Run the network on empty windows, and choose the largest batch up to `batch` that the ceiling allows.

    Args:
        infer: Network, called with (N, 320, 320, 3) uint8 RGB.
        batch: Maximum batch size, in windows.
        ceiling: Bytes that the process may take.
        reserve: Bytes of these that are not for the network.
        slide_bytes: Bytes on top that decoding the slide takes.

    Raises:
        EnvironmentLacksError: Not even one window fits.
    """
    bare = measure_memory()
    foreign = max(bare - _START_BYTES, 0)
    infer(make_blanks(1))
    one = measure_memory() - foreign
    start = time.perf_counter()
    infer(make_blanks(min(batch, 2)))
    window_s = (time.perf_counter() - start) / min(batch, 2)
    each = max(one + foreign - bare, measure_memory() - foreign - one, 0) + _WINDOW_BYTES
    reserve += slide_bytes
    room = ceiling - reserve - one
    if room < 0:
        detail = (
            f", {slide_bytes / GIB:.2g} GiB of them for the slide's large tiles or strips"
            if slide_bytes
            else ""
        )
        raise EnvironmentLacksError(
            f"--max-ram {ceiling / GIB:.2g}: this model needs {(one + reserve) / GIB:.2g} GiB "
            f"on this machine{detail}. Give more."
        )
    fitting = min(batch, 1 + int(room // each))
    return Pace(batch=fitting, window_s=window_s, peak=one + reserve + (fitting - 1) * each)


def measure_memory() -> int:
    """Return the bytes that this process holds now."""
    return int(psutil.Process().memory_info().rss)


def make_blanks(count: int) -> NDArray[np.uint8]:
    """Make windows of background, (count, 320, 320, 3) uint8 RGB."""
    return np.full((count, WINDOW_PX, WINDOW_PX, 3), 240, np.uint8)
