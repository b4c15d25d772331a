"""Reads around damage: what a level cannot give comes from a finer one, and what none can is told."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from glandseg.slides.resampling import resample
from glandseg.slides.slide import Slide, UnreadableError
from glandseg.slides.unread import UnreadRegions

LARGEST_SOURCE_PX = 1024  # side of what is read at once from a finer level
Cell = tuple[int, int, int, int]  # x, y, width, height in px of its level
Failed = dict[tuple[int, Cell], str]  # level and cell, reason


class FallbackReader:
    """A slide read cell by cell, as its tiles lie; cells that no level can give are filled and noted.

    A cell is tried as a whole, so whether it counts as unread does not depend on what was asked for.

    Args:
        slide: to read.
        unread_regions: of what is unread.
        fill_rgb: color in place of what is unread.
        failed: cells known to fail, and why; it grows, and spares trying them again.
    """

    def __init__(
        self,
        slide: Slide,
        unread_regions: UnreadRegions,
        fill_rgb: tuple[int, int, int],
        failed: Failed | None = None,
    ) -> None:
        self.levels = slide.levels
        self._slide = slide
        self._unread_regions = unread_regions
        self._failed = {} if failed is None else failed
        self._fill = np.array(fill_rgb, np.uint8)

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """As `Slide.read_region`, but nothing in the file makes it fail."""
        pixels = np.empty((height, width, 3), np.uint8)
        for cell in self._list_cells(level, x, y, width, height):
            left, top = max(cell[0], x), max(cell[1], y)
            right, bottom = min(cell[0] + cell[2], x + width), min(cell[1] + cell[3], y + height)
            pixels[top - y : bottom - y, left - x : right - x] = self._read_cell(level, cell)[
                top - cell[1] : bottom - cell[1], left - cell[0] : right - cell[0]
            ]
        return pixels

    def _list_cells(self, level: int, x: int, y: int, width: int, height: int) -> Iterator[Cell]:
        size = self.levels[level]
        across, down = self._slide.get_cell_wh(level)
        for top in range(y // down * down, y + height, down):
            for left in range(x // across * across, x + width, across):
                yield left, top, min(across, size.width - left), min(down, size.height - top)

    def _read_cell(self, level: int, cell: Cell) -> NDArray[np.uint8]:
        if (level, cell) not in self._failed:
            try:
                return self._slide.read_region(level, *cell)
            except UnreadableError as error:
                self._failed[level, cell] = error.reason
        finer = self._find_finer(level)
        if finer is None:
            return self._fill_cell(level, cell, self._failed[level, cell])
        return self._shrink(finer, level, cell)

    def _find_finer(self, level: int) -> int | None:
        finer = [i for i, other in enumerate(self.levels) if other.downsample < self.levels[level].downsample]
        return max(finer, key=lambda i: self.levels[i].downsample, default=None)

    def _shrink(self, finer: int, level: int, cell: Cell) -> NDArray[np.uint8]:
        """A cell made from a finer level, in blocks that bound memory."""
        x, y, width, height = cell
        factor = self.levels[level].downsample / self.levels[finer].downsample
        side = max(int(LARGEST_SOURCE_PX / factor), 1)
        pixels = np.empty((height, width, 3), np.uint8)
        for top in range(0, height, side):
            for left in range(0, width, side):
                block = pixels[top : top + side, left : left + side]
                block[:] = resample(self, finer, factor, x + left, y + top, block.shape[1], block.shape[0])
        return pixels

    def _fill_cell(self, level: int, cell: Cell, reason: str) -> NDArray[np.uint8]:
        x, y, width, height = (round(side * self.levels[level].downsample) for side in cell)
        self._unread_regions.add(x, y, width, height, reason)
        return np.broadcast_to(self._fill, (cell[3], cell[2], 3))
