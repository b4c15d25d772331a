"""What every slide reader offers: sizes, levels, resolution and rectangles of RGB."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError, GlandsegError, shorten
from glandseg.runtime.resolution import Resolution


@dataclass(frozen=True)
class Level:
    """One resolution of a slide: its size in its own px, and level-0 px per px of it."""

    width: int
    height: int
    downsample: float


def build_levels(sizes_wh: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Levels from their sizes, full resolution first."""
    return tuple(Level(*size, measure_downsample(sizes_wh[0], size)) for size in sizes_wh)


def measure_downsample(full_wh: tuple[int, int], wh: tuple[int, int]) -> float:
    """Level-0 px per px: the whole factor where sizes were only rounded, else the mean of both axes."""
    mean = (full_wh[0] / wh[0] + full_wh[1] / wh[1]) / 2
    whole = round(mean)
    was_rounded = all(abs(full / whole - size) < 1 for full, size in zip(full_wh, wh, strict=True))
    return float(whole) if was_rounded else mean


class Slide(ABC):
    """A slide that is open for reading; a context manager that closes its file.

    Attributes:
        path: the file.
        format: such as "aperio", "hamamatsu", "dicom", "ome-tiff", "tiff" or "png".
        levels: full resolution first.
        resolution: um per level-0 px; None where neither the file nor the user says it.
        frame: what level-0 coordinates count from: "full image" or "openslide bounds".
    """

    path: Path
    format: str
    levels: tuple[Level, ...]
    resolution: Resolution | None
    frame: str = "full image"

    @property
    def width_l0(self) -> int:
        """Width in level-0 px."""
        return self.levels[0].width

    @property
    def height_l0(self) -> int:
        """Height in level-0 px."""
        return self.levels[0].height

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """A rectangle in px of `level`, transparent parts on the background.

        Returns:
            (height, width, 3) uint8 RGB, the caller's own.

        Raises:
            ValueError: the rectangle is empty or not entirely inside the level.
            BadInputError: the file's data there cannot be decoded.
        """
        self._check_inside(level, x, y, width, height)
        try:
            return self._read(level, x, y, width, height)
        except (GlandsegError, MemoryError):
            raise
        except Exception as error:
            raise BadInputError(
                f"{self.path}: level {level}, x {x}, y {y}, {width} x {height} px cannot be decoded "
                f"({shorten(error)}): damaged, cut short or an unknown codec. Copy or export the file again"
            ) from error

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
        """As `read_region`, inside the level; may raise whatever its library raises."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the file; harmless when repeated."""

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
