"""Interface of all slide readers: sizes, levels, um/px and rectangles of RGB."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, GlandsegError, shorten
from glandseg.slides.mpp import Resolution
from glandseg.slides.retry import RetryPolicy

CACHE_BYTES = 64 << 20
CELL_PX = 256  # side of the cells that a damaged slide is read in, where its file has no tiles


def cut_side(side: int, maximum: int = 2 * CELL_PX) -> int:
    """Return a tile's side, or the largest equal part of it of at most `maximum` px."""
    return -(-side // -(-side // maximum))


class UnreadableError(BadInputError):
    """A part of a slide that cannot be decoded.

    Attributes:
        reason: The decoder's message, without the file's path.
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Level:
    """One resolution of a slide: its size in its own px, and level-0 px per px of it."""

    width: int
    height: int
    downsample: float


def build_levels(sizes_wh: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Build levels from their sizes, full resolution first."""
    return tuple(Level(*size, measure_downsample(sizes_wh[0], size)) for size in sizes_wh)


def measure_downsample(full_wh: tuple[int, int], wh: tuple[int, int]) -> float:
    """Return level-0 px per px: the integer where sizes were only rounded, else the mean of both axes."""
    mean = (full_wh[0] / wh[0] + full_wh[1] / wh[1]) / 2
    whole = round(mean)
    was_rounded = all(abs(full / whole - size) < 1 for full, size in zip(full_wh, wh, strict=True))
    return float(whole) if was_rounded else mean


class Slide(ABC):
    """A slide that is open for reading; a context manager that closes its file.

    Attributes:
        path: Slide file.
        format: Such as "aperio", "hamamatsu", "dicom", "ome-tiff", "tiff" or "png".
        levels: Levels, full resolution first.
        resolution: um per level-0 px; None where neither the file nor the user states it.
        statements: The file's statements of um/px, in words.
        frame: Origin of level-0 coordinates: "full image" or "openslide bounds".
        decoded_px: Number of px decoded, repeats included, on any level; None where unknown.
        warnings: What a user should know of the file, a full sentence each, without its path.
        held_bytes: Maximum memory that reading takes beyond the cache's bound.
    """

    path: Path
    format: str
    levels: tuple[Level, ...]
    resolution: Resolution | None
    statements: tuple[str, ...] = ()
    frame: str = "full image"
    decoded_px: int | None = None
    warnings: tuple[str, ...] = ()
    held_bytes: int = 0

    @cached_property
    def retry_policy(self) -> RetryPolicy:
        """Policy for retries, shared by all reads of this slide."""
        return RetryPolicy()

    @property
    def width_l0(self) -> int:
        """Width in level-0 px."""
        return self.levels[0].width

    @property
    def height_l0(self) -> int:
        """Height in level-0 px."""
        return self.levels[0].height

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read a rectangle in px of `level`, transparent parts on the background.

        Failed reads are retried with a new file handle. Safe for threads.

        Returns:
            (height, width, 3) uint8 RGB, owned by the caller.

        Raises:
            ValueError: The rectangle is empty or not entirely inside the level.
            UnreadableError: The file's data there cannot be decoded.
        """
        self._check_inside(level, x, y, width, height)
        try:
            return self._read(level, x, y, width, height)
        except (GlandsegError, MemoryError):
            raise
        except Exception:
            return self._read_again(level, x, y, width, height)

    def _read_again(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        try:
            return self.retry_policy.retry(lambda: self._reread(level, x, y, width, height))
        except (GlandsegError, MemoryError):
            raise
        except Exception as error:
            raise UnreadableError(
                f"{self.path}: level {level}, x {x}, y {y}, {width} x {height} px cannot be decoded "
                f"({shorten(error)}): damaged, cut short or an unknown codec. Copy or export the file again.",
                self._strip_path(error),
            ) from error

    def _strip_path(self, error: Exception) -> str:
        """Return a library's error without the file's path."""
        text = shorten(error, 400).replace(str(self.path), "the file").replace(self.path.name, "the file")
        return text[:160]

    def get_cell_wh(self, level: int) -> tuple[int, int]:
        """Return width and height, in px of `level`, of the cells that a damaged slide is read in."""
        return CELL_PX, CELL_PX

    def _check_inside(self, level: int, x: int, y: int, width: int, height: int) -> None:
        if not 0 <= level < len(self.levels):
            raise ValueError(f"level {level}: the slide has {len(self.levels)}")
        size = self.levels[level]
        inside = 0 <= x < x + width <= size.width and 0 <= y < y + height <= size.height
        if not inside:
            raise ValueError(
                f"rectangle x {x}, y {y}, {width} x {height} px is not inside "
                f"level {level} ({size.width} x {size.height} px)"
            )

    @abstractmethod
    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read inside the level; library errors may pass through."""

    def _reread(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read as `_read`, with a new file handle."""
        return self._read(level, x, y, width, height)

    def clear_cache(self) -> None:  # noqa: B027 - most readers cache nothing
        """Drop cached parts, so that memory can be measured without them."""

    @abstractmethod
    def close(self) -> None:
        """Close the file; harmless when repeated."""

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
