"""A slide resampled to the um/px a model wants, without an end: beyond its edges it is reflected."""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.cache import ArrayCache
from glandseg.runtime.errors import BadInputError
from glandseg.runtime.reader import Slide
from glandseg.runtime.resampling import resample

CACHE_BYTES = 64 << 20
LARGEST_TILE_PX = 512
LARGEST_SOURCE_PX = 4096  # side of what is read for a tile, which bounds memory at strong shrinking
LEVEL_TOLERANCE = 1.01  # a level that is up to 1 % too coarse is still taken
ROUNDING = 0.01  # by which a size may exceed a whole number of px and not start another: rounded tags do


class Plane(Protocol):
    """Pixels that can be read anywhere; beyond the border they are reflected."""

    width_px: int
    height_px: int

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Read a rectangle as (height_px, width_px, 3) uint8 RGB."""
        ...


class PicturePlane:
    """A picture in memory, (H, W, 3) uint8 RGB, as a plane."""

    def __init__(self, picture: NDArray[np.uint8]) -> None:
        self._picture = picture
        self.height_px, self.width_px = picture.shape[:2]

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Read a rectangle as (height_px, width_px, 3) uint8 RGB."""
        rows = reflect(np.arange(y_px, y_px + height_px), self.height_px)
        columns = reflect(np.arange(x_px, x_px + width_px), self.width_px)
        return self._picture[np.ix_(rows, columns)]


class SlidePlane:
    """A slide at a fixed um/px; the value of a px is a function of its coordinates alone.

    It is made of tiles on a fixed lattice, each resampled from the coarsest level that is fine enough and
    kept in a bounded cache, so rectangles hold the same bytes however reads are cut. Several threads may
    read at once.

    Attributes:
        um_per_px: the wanted size of a px.
        l0_per_px: level-0 px per px.
        width_px: width, the last px being partly outside where sizes do not divide.
        height_px: height.
    """

    def __init__(self, slide: Slide, um_per_px: float, cache_bytes: int = CACHE_BYTES) -> None:
        """Lay a plane over an open slide.

        Raises:
            ValueError: `um_per_px` is not above 0.
            BadInputError: the slide's own um/px is unknown.
        """
        if not (um_per_px > 0 and math.isfinite(um_per_px)):
            raise ValueError(f"um_per_px must be above 0, received {um_per_px}")
        if slide.resolution is None:
            raise BadInputError(
                f"{slide.path}: does not say its microns per pixel, so its scale is unknown. "
                "Give --mpp, such as 0.5 for 20x"
            )
        self.um_per_px = um_per_px
        self.l0_per_px = um_per_px / slide.resolution.um_per_px
        self.width_px = max(math.ceil(slide.width_l0 / self.l0_per_px - ROUNDING), 1)
        self.height_px = max(math.ceil(slide.height_l0 / self.l0_per_px - ROUNDING), 1)
        self._slide = slide
        self._level = choose_level(slide, self.l0_per_px)
        self._factor = self.l0_per_px / slide.levels[self._level].downsample
        self._tile_px = choose_tile_px(self._factor)
        self._tiles = ArrayCache(cache_bytes)

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Any rectangle, also one that begins below 0 or ends beyond the size: there the plane is reflected.

        Returns:
            (height_px, width_px, 3) uint8 RGB, the caller's own.

        Raises:
            ValueError: the rectangle is empty.
            BadInputError: the slide's data there cannot be decoded.
        """
        if width_px < 1 or height_px < 1:
            raise ValueError(f"rectangle of {width_px} x {height_px} px: both sides must be at least 1")
        columns = reflect(np.arange(x_px, x_px + width_px), self.width_px)
        rows = reflect(np.arange(y_px, y_px + height_px), self.height_px)
        left, top = int(columns.min()), int(rows.min())
        inside = self._read_inside(left, top, int(columns.max()) + 1, int(rows.max()) + 1)
        if inside.shape[:2] == (height_px, width_px) and (left, top) == (x_px, y_px):
            return inside
        return inside[np.ix_(rows - top, columns - left)]

    def at(self, um_per_px: float) -> SlidePlane:
        """The same slide at another um/px."""
        return SlidePlane(self._slide, um_per_px)

    def _read_inside(self, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        side = self._tile_px
        pixels = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        for row in range(y0 // side, -(-y1 // side)):
            for column in range(x0 // side, -(-x1 // side)):
                top, left = max(row * side, y0), max(column * side, x0)
                bottom, right = min((row + 1) * side, y1), min((column + 1) * side, x1)
                pixels[top - y0 : bottom - y0, left - x0 : right - x0] = self._get_tile(column, row)[
                    top - row * side : bottom - row * side, left - column * side : right - column * side
                ]
        return pixels

    def _get_tile(self, column: int, row: int) -> NDArray[np.uint8]:
        return self._tiles.get((column, row), lambda: self._make_tile(column, row))

    def _make_tile(self, column: int, row: int) -> NDArray[np.uint8]:
        x, y = column * self._tile_px, row * self._tile_px
        width = min(self._tile_px, self.width_px - x)
        height = min(self._tile_px, self.height_px - y)
        return resample(self._slide, self._level, self._factor, x, y, width, height)


def choose_level(slide: Slide, l0_per_px: float) -> int:
    """The coarsest level that is no coarser than wanted; full resolution where all are."""
    fine = [i for i, level in enumerate(slide.levels) if level.downsample <= l0_per_px * LEVEL_TOLERANCE]
    return max(fine, key=lambda i: slide.levels[i].downsample, default=0)


def choose_tile_px(factor: float) -> int:
    """The lattice's step: a power of two, smaller where many level px make one."""
    fitting = max(LARGEST_SOURCE_PX / factor, 1)
    return min(LARGEST_TILE_PX, 1 << math.floor(math.log2(fitting)))


def reflect(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Any whole numbers mapped into 0..size-1 by reflection at the first and last px, as often as needed."""
    period = max(2 * (size - 1), 1)
    folded = np.mod(index, period)
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(index)
