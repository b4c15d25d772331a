"""Planes: pixels that can be read anywhere, reflected beyond the edges."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.slides.cache import ArrayCache

Box = tuple[int, int, int, int]  # left, top, right, bottom


class Plane(Protocol):
    """Pixels that can be read anywhere; beyond the edges they are reflected."""

    width_px: int
    height_px: int

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Read a rectangle as (height_px, width_px, 3) uint8 RGB."""
        ...


class ImagePlane:
    """An image in memory, (H, W, 3) uint8 RGB, as a plane."""

    def __init__(self, image: NDArray[np.uint8]) -> None:
        self._image = image
        self.height_px, self.width_px = image.shape[:2]

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Read a rectangle as (height_px, width_px, 3) uint8 RGB."""
        rows = reflect(np.arange(y_px, y_px + height_px), self.height_px)
        columns = reflect(np.arange(x_px, x_px + width_px), self.width_px)
        return self._image[np.ix_(rows, columns)]


class TiledPlane(ABC):
    """A slide at a fixed um/px; the value of a px is a function of its coordinates alone.

    It is made of tiles on a fixed grid, kept in a bounded cache, so rectangles hold the same bytes however
    reads are cut. Safe for threads.

    Attributes:
        um_per_px: Size of a px in um.
        l0_per_px: Level-0 px per px.
        width_px: Width; the last px is partly outside where sizes do not divide.
        height_px: Height.
    """

    um_per_px: float
    l0_per_px: float
    width_px: int
    height_px: int

    def __init__(self, tile_px: int, cache_bytes: int) -> None:
        self._tile_px = tile_px
        self._tiles = ArrayCache(cache_bytes)

    def read(self, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.uint8]:
        """Read a rectangle, reflected where it lies outside.

        Returns:
            (height_px, width_px, 3) uint8 RGB, owned by the caller.

        Raises:
            ValueError: The rectangle is empty.
            UnreadableError: The slide's data there cannot be decoded, and unread regions are not recorded.
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

    def _list_tiles(self, x0: int, y0: int, x1: int, y1: int) -> Iterator[tuple[int, int, Box]]:
        """Yield column and row of the tiles that a rectangle meets, and their common part."""
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

    @abstractmethod
    def _make_tile(self, column: int, row: int) -> NDArray[np.uint8]:
        """Make a tile of the grid, (h, w, 3) uint8 RGB; tiles at the far edges are smaller."""

    def _place_tile(self, column: int, row: int) -> tuple[int, int, int, int]:
        """Return a tile's left and top edge, width and height in px."""
        x, y = column * self._tile_px, row * self._tile_px
        return x, y, min(self._tile_px, self.width_px - x), min(self._tile_px, self.height_px - y)


def reflect(index: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Map any integers into 0..size-1 by reflection at the first and last px, repeatedly."""
    period = max(2 * (size - 1), 1)
    folded = np.mod(index, period)
    return np.minimum(folded, period - folded) if size > 1 else np.zeros_like(index)
