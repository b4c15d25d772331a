"""An area of polygons, measured and rasterised square by square."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

MAX_CORNERS = 256  # of a piece of a polygon
MIN_SIDE_PX = 1.0


class Area:
    """Disjoint polygons, in px."""

    def __init__(self, polygons: Sequence[BaseGeometry]) -> None:
        self._polygons = np.array([piece for polygon in polygons for piece in _divide(polygon)], object)
        self._tree = shapely.STRtree(self._polygons)
        shapely.prepare(self._polygons)

    def measure(self, squares: NDArray[np.object_]) -> NDArray[np.float64]:
        """Compute the area, in px2, that each of (N,) squares shares with the polygons: (N,) float64."""
        square, polygon = self._tree.query(squares, predicate="intersects")
        shared = shapely.area(shapely.intersection(squares[square], self._polygons[polygon]))
        return np.bincount(square, weights=shared, minlength=len(squares)).astype(np.float64)

    def draw(self, x_px: int, y_px: int, side: int) -> NDArray[np.uint8]:
        """Rasterise a square: (side, side) uint8, 255 where a pixel's centre is in or on them, else 0."""
        centres = np.arange(side) + 0.5
        x, y = np.meshgrid(x_px + centres, y_px + centres)
        inside = np.zeros((side, side), bool)
        for index in self._tree.query(shapely.box(x_px, y_px, x_px + side, y_px + side)):
            inside |= shapely.intersects_xy(self._polygons[index], x, y)
        return np.where(inside, 255, 0).astype(np.uint8)


def _divide(polygon: BaseGeometry) -> Iterator[BaseGeometry]:
    """Halve a polygon until its pieces have few corners: a field with a thousand holes has many."""
    left, top, right, bottom = polygon.bounds
    side = max(right - left, bottom - top)
    if shapely.get_num_coordinates(polygon) <= MAX_CORNERS or side <= MIN_SIDE_PX:
        yield polygon
        return
    x, y = (left + right) / 2, (top + bottom) / 2
    wide = side == right - left
    halves = (
        shapely.box(left, top, x if wide else right, bottom if wide else y),
        shapely.box(x if wide else left, top if wide else y, right, bottom),
    )
    for half in halves:
        for part in shapely.get_parts(shapely.intersection(polygon, half)):
            if part.area > 0:
                yield from _divide(part)
