"""Polygons drawn as pixels, exactly: a pixel is in where its centre is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

STRIP_PX = 1 << 20  # pixels drawn at once


def draw_strips(polygon: Polygon) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Draws a polygon in strips of rows from the top: the first row, first column and pixels of each.

    A pixel is True where its centre lies inside. All strips are as wide as the polygon's bounds and hold at
    most STRIP_PX pixels or one row, so memory does not follow the polygon's area.
    """
    left, top, right, bottom = polygon.bounds
    start, stop, first, width = math.floor(top), math.ceil(bottom), math.floor(left), math.ceil(right)
    width -= first
    y, x = _cross_rows(polygon)
    columns = np.clip(np.ceil(x - 0.5).astype(np.int64) - first, 0, width)
    rows = max(1, STRIP_PX // max(1, width))
    for row in range(start, stop, rows):
        here = slice(*np.searchsorted(y, [row, row + rows]))
        crossed = np.zeros((min(rows, stop - row), width + 1), bool)
        np.logical_xor.at(crossed, (y[here] - row, columns[here]), True)
        np.logical_xor.accumulate(crossed, axis=1, out=crossed)
        yield row, first, crossed[:, :-1]


def _cross_rows(polygon: Polygon) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns each row of pixel centres that a polygon's rings cross, rising, and the x at which they do."""
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    x, y = np.concatenate([ring[:-1] for ring in rings]).T
    x_end, y_end = np.concatenate([ring[1:] for ring in rings]).T
    first = np.ceil(np.minimum(y, y_end) - 0.5).astype(np.int64)
    counts = np.ceil(np.maximum(y, y_end) - 0.5).astype(np.int64) - first
    edge = np.repeat(np.arange(len(x)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x_end - x)[edge] / (y_end - y)[edge]
    order = np.argsort(row, kind="stable")
    return row[order], (x[edge] + (row + 0.5 - y[edge]) * slope)[order]
