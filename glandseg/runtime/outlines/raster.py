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
    y, x = _cross_rows(polygon, start, stop)
    rows = max(1, STRIP_PX // max(1, width))
    for row in range(start, stop, rows):
        here = slice(*np.searchsorted(y, [row, row + rows]))
        yield row, first, _fill(y[here] - row, x[here] - first, min(rows, stop - row), width)


def draw_window(polygon: Polygon, x_px: int, y_px: int, width_px: int, height_px: int) -> NDArray[np.bool_]:
    """Draws a window of a polygon, (height_px, width_px); a pixel's value does not depend on the window."""
    y, x = _cross_rows(polygon, y_px, y_px + height_px)
    return _fill(y - y_px, x - x_px, height_px, width_px)


def _fill(rows: NDArray[np.int64], columns: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Fills each row from every odd crossing to the next, (height, width)."""
    crossed = np.zeros((height, width + 1), bool)
    np.logical_xor.at(crossed, (rows, np.clip(columns, 0, width)), True)
    np.logical_xor.accumulate(crossed, axis=1, out=crossed)
    return crossed[:, :-1]


def _cross_rows(polygon: Polygon, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Returns the rows of start..stop whose pixel centres a polygon's rings cross, rising, and the column.

    The column is the first whose centre lies beyond the crossing.
    """
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    x, y = np.concatenate([ring[:-1] for ring in rings]).T
    x_end, y_end = np.concatenate([ring[1:] for ring in rings]).T
    first = np.clip(np.ceil(np.minimum(y, y_end) - 0.5), start, stop).astype(np.int64)
    counts = np.clip(np.ceil(np.maximum(y, y_end) - 0.5), start, stop).astype(np.int64) - first
    edge = np.repeat(np.arange(len(x)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x_end - x)[edge] / (y_end - y)[edge]
    order = np.argsort(row, kind="stable")
    column = np.ceil(x[edge] + (row + 0.5 - y[edge]) * slope - 0.5).astype(np.int64)
    return row[order], column[order]
