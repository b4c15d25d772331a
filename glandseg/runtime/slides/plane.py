"""A slide resampled to the um/px a model wants, without an end: beyond its edges it is reflected."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.slides.cache import ArrayCache
from glandseg.runtime.slides.damage import DamagedSlide, Failed
from glandseg.runtime.slides.ledger import Ledger, mark_rectangles
from glandseg.runtime.slides.reader import Slide, UnreadableError
from glandseg.runtime.slides.resampling import resample
from glandseg.runtime.slides.resolution import describe_lack
from glandseg.runtime.slides.rgb import WHITE

CACHE_BYTES = 64 << 20
LARGEST_TILE_PX = 512
LARGEST_SOURCE_PX = 2048  # side of what is read for a tile, which bounds memory at strong shrinking
LEVEL_TOLERANCE = 1.01  # a level that is up to 1 % too coarse is still taken
ROUNDING = 0.01  # by which a size may exceed a whole number of px and not start another: rounded tags do

Box = tuple[int, int, int, int]  # left, top, right, bottom


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
        fill_rgb: colour in place of what cannot be read.
    """

    def __init__(
        self,
        slide: Slide,
        um_per_px: float,
        cache_bytes: int = CACHE_BYTES,
        ledger: Ledger | None = None,
        fill_rgb: tuple[int, int, int] = WHITE,
    ) -> None:
        """Lay a plane over an open slide.

        Args:
            slide: to read.
            um_per_px: the wanted size of a px.
            cache_bytes: of memory for tiles of the lattice.
            ledger: where parts that cannot be decoded are noted; without one, reading them fails.
            fill_rgb: colour in their place, such as the slide's glass.

        Raises:
            ValueError: `um_per_px` is not above 0.
            BadInputError: the slide's own um/px is unknown.
        """
        if not (um_per_px > 0 and math.isfinite(um_per_px)):
            raise ValueError(f"um_per_px must be above 0, received {um_per_px}")
        if slide.resolution is None:
            raise BadInputError(describe_lack(slide.path, slide.said))
        self.um_per_px = um_per_px
        self.l0_per_px = um_per_px / slide.resolution.um_per_px
        self.width_px = max(math.ceil(slide.width_l0 / self.l0_per_px - ROUNDING), 1)
        self.height_px = max(math.ceil(slide.height_l0 / self.l0_per_px - ROUNDING), 1)
        self.fill_rgb = fill_rgb
        self._slide = slide
        self._ledger = ledger
        self._failed: Failed = {}
        self._unread_l0: dict[tuple[int, int], NDArray[np.int64]] = {}
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
            UnreadableError: the slide's data there cannot be decoded, and there is no ledger.
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
        """The same slide at another um/px; what it cannot read goes into the same ledger."""
        return SlidePlane(self._slide, um_per_px, ledger=self._ledger, fill_rgb=self.fill_rgb)

    def mask_unread(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.bool_] | None:
        """Which px of a rectangle inside the plane were filled, as far as it was read; None if none.

        It depends on the rectangle alone, not on what else was read or when.

        Returns:
            (height_px, width_px) bool.
        """
        unread = np.zeros((height_px, width_px), np.bool_)
        for column, row, box in self._list_tiles(x_px, y_px, x_px + width_px, y_px + height_px):
            places = self._unread_l0.get((column, row))
            if places is not None:
                left, top, right, bottom = box
                marked = mark_rectangles(places, (left, top, right - left, bottom - top), self.l0_per_px)
                if marked is not None:
                    unread[top - y_px : bottom - y_px, left - x_px : right - x_px] = marked
        return unread if unread.any() else None

    def _list_tiles(self, x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int, Box]]:
        """Columns and rows of the tiles that a rectangle meets, and where it does."""
        side = self._tile_px
        for row in range(y0 // side, -(-y1 // side)):
            for column in range(x0 // side, -(-x1 // side)):
                left, top = max(column * side, x0), max(row * side, y0)
                yield column, row, (left, top, min((column + 1) * side, x1), min((row + 1) * side, y1))

    def _read_inside(self, x0: int, y0: int, x1: int, y1: int) -> NDArray[np.uint8]:
        side = self._tile_px
        pixels = np.empty((y1 - y0, x1 - x0, 3), np.uint8)
        for column, row, (left, top, right, bottom) in self._list_tiles(x0, y0, x1, y1):
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
        place = (self._level, self._factor, x, y, width, height)
        if (column, row) not in self._unread_l0:
            try:
                return resample(self._slide, *place)
            except UnreadableError:
                if self._ledger is None:
                    raise
        return self._make_damaged(column, row, place)

    def _make_damaged(
        self, column: int, row: int, place: tuple[int, float, int, int, int, int]
    ) -> NDArray[np.uint8]:
        ledger = self._ledger or Ledger()
        damaged = DamagedSlide(self._slide, ledger, self.fill_rgb, self._failed)
        tile = resample(damaged, *place)
        self._unread_l0[column, row] = np.array(damaged.unread_l0, np.int64).reshape(-1, 4)
        return tile


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
