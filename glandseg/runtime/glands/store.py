"""Glands stored on disk: written as each is traced, read back in reading order."""

from __future__ import annotations

import math
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.core.own_files import open_own

_HEAD = struct.Struct("<dd")  # mean probability, lumen fraction; the contour follows as WKB


@dataclass(frozen=True, kw_only=True)
class Gland:
    """One gland.

    Attributes:
        number: 1, 2, … in reading order of the bounding boxes' top-left corners.
        polygon_px: Contour with lumina as holes, in map pixels; x = 0 is the left edge of pixel 0.
        mean_probability: Mean p(gland) over the gland's pixels, 0..1.
        lumen_fraction: Share of the pixels inside the outer outline that are unstained or in a hole, 0..1.
    """

    number: int
    polygon_px: Polygon
    mean_probability: float
    lumen_fraction: float


class Glands:
    """The glands of a store in reading order, read from disk one at a time until it is closed.

    Args:
        store: Store of the glands.
        places: (N, 2) int64, offset and bytes of each gland.
        areas_px2: (N,) float64, their areas.

    Attributes:
        areas_px2: Areas of the glands, lumina excluded, in square map pixels.
    """

    def __init__(self, store: GlandStore, places: NDArray[np.int64], areas_px2: NDArray[np.float64]) -> None:
        self._store, self._places, self.areas_px2 = store, places, areas_px2

    @property
    def area_px2(self) -> float:
        """Area of all glands, in square map pixels."""
        return math.fsum(self.areas_px2)

    def __len__(self) -> int:
        """Return the number of glands."""
        return len(self._places)

    def __getitem__(self, index: int) -> Gland:
        """Read a gland by its place in reading order, from 0."""
        record = self._store.read(*self._places[index].tolist())
        mean, lumen = _HEAD.unpack_from(record)
        polygon = cast(Polygon, shapely.from_wkb(record[_HEAD.size :]))
        return Gland(number=index + 1, polygon_px=polygon, mean_probability=mean, lumen_fraction=lumen)

    def __iter__(self) -> Iterator[Gland]:
        """Read the glands, one at a time."""
        return map(self.__getitem__, range(len(self)))


class GlandStore:
    """Glands in a file, added in any order and numbered at the end; about 60 bytes of each stay in memory.

    Args:
        path: File, held open; an older one is emptied.
    """

    def __init__(self, path: Path) -> None:
        self._file = open_own(path, "w+b")
        self._keys = array("q")  # of each gland: top, left, row and column of the first pixel, offset, bytes
        self._areas = array("d")
        self._fillings = array("q")  # of each filled hole: offset, bytes

    def add(
        self,
        corner: tuple[int, int],
        seed_yx: tuple[int, int],
        polygon_px: Polygon,
        shares: tuple[float, float],
    ) -> None:
        """Write a gland.

        Args:
            corner: Top and left of the gland's box.
            seed_yx: Row and column of the gland's first pixel.
            polygon_px: Contour of the gland, in map pixels.
            shares: Mean probability and lumen fraction, 0..1.
        """
        place = self._write(_HEAD.pack(*shares) + shapely.to_wkb(polygon_px))
        self._keys.extend((*corner, *seed_yx, *place))
        self._areas.append(polygon_px.area)

    def add_filling(self, hole: Polygon) -> None:
        """Write a filled hole; a gland whose first pixel lies in one is no gland of its own."""
        self._fillings.extend(self._write(shapely.to_wkb(hole)))

    def read(self, offset: int, size: int) -> bytes:
        """Read a record."""
        self._file.seek(offset)
        return self._file.read(size)

    def finish(self) -> Glands:
        """Drop the glands in filled holes and number the rest; nothing may be added afterwards."""
        keys = np.array(self._keys, np.int64).reshape(-1, 6)
        top, left, row, column = keys[:, :4].T
        order = np.lexsort((column, row, left, top))
        order = order[~self._find_swallowed(keys[:, 2:4])[order]]
        return Glands(self, keys[order, 4:], np.array(self._areas, np.float64)[order])

    def close(self) -> None:
        """Close the file, which stays; may be called repeatedly."""
        self._file.close()

    def _write(self, record: bytes) -> tuple[int, int]:
        offset = self._file.tell()
        self._file.write(record)
        return offset, len(record)

    def _find_swallowed(self, seeds_yx: NDArray[np.int64]) -> NDArray[np.bool_]:
        swallowed = np.zeros(len(seeds_yx), bool)
        order = np.argsort(seeds_yx[:, 0], kind="stable")
        y, x = seeds_yx[order].T + 0.5
        for place in np.array(self._fillings, np.int64).reshape(-1, 2).tolist():
            hole = shapely.from_wkb(self.read(*place))
            left, top, right, bottom = hole.bounds
            near = np.arange(*np.searchsorted(y, [top, bottom]))
            near = near[(x[near] > left) & (x[near] < right)]
            swallowed[order[near]] |= shapely.contains_xy(hole, x[near], y[near])
        return swallowed
