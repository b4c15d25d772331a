"""Reading around damage: a level's unreadable part comes from a finer level, or is filled and recorded.

One bad tile must not cost a slide of 100,000 tiles. Pyramid levels are stored independently, so the tissue
below a bad tile of a coarse level is nearly always intact in a finer one, and shrinking that gives the same
view; only where every level fails is tissue really lost, and the record says so.
Parts are tried in cells that follow the file's own tiles, never in the rectangle that a caller wants:
otherwise the unread area, and so the result, would depend on how reads are cut.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from glandseg.slides.resampling import resample
from glandseg.slides.slide import Slide, UnreadableError
from glandseg.slides.unread import UnreadRegions

LARGEST_SOURCE_PX = 1024  # side of a block read from a finer level, which bounds memory
Cell = tuple[int, int, int, int]  # x, y, width, height in px of its level
Failed = dict[tuple[int, Cell], str]  # level and cell, reason


class FallbackReader:
    """Reader of a slide cell by cell, with finer levels as fallback; cells that no level has are filled.

    Args:
        slide: Slide, open.
        unread_regions: Record of the filled cells.
        fill_rgb: Color of the filled cells.
        failed: Cells known to fail, with reasons; new ones are added, so that none is tried twice.
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
        """Read as `Slide.read_region`, but never fail for damage."""
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
        """Make a cell from a finer level, block by block."""
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
