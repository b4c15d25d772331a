"""A map of 32-bit numbers on disk, in which each gland's px have its number; 0 is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.maps.rasterize import draw_inside
from glandseg.runtime.maps.tile_map import TileMap

NUMBER: np.dtype[np.uint32] = np.dtype(np.uint32)


class LabelMap:
    """A (height, width) uint32 map in a file; a context manager that closes it.

    Args:
        path: File of the map; an older one is emptied.
        shape: Height and width.

    Attributes:
        shape: (height, width).
    """

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.shape = shape
        self._bytes = TileMap(path, shape[0], shape[1] * NUMBER.itemsize)

    def draw(self, polygon: Polygon, number: int) -> None:
        """Set a polygon's px to a number, holes excluded; the map clips it on the right and at the bottom."""
        for top, left, body in draw_inside(polygon, self.shape):
            part = self.read(top, left, top + body.shape[0], left + body.shape[1])
            part[body] = number
            self._bytes.write(top, left * NUMBER.itemsize, part.view(np.uint8))

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint32]:
        """Read rows top..bottom and columns left..right, ends excluded; the caller owns the result."""
        return self._bytes.read(top, left * NUMBER.itemsize, bottom, right * NUMBER.itemsize).view(NUMBER)

    def __enter__(self) -> LabelMap:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file, which stays."""
        self._bytes.close()
