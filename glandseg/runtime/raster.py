"""Polygons drawn as pixels, exactly: a pixel is in where its centre is."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, Polygon


def bounding_window(polygon: Polygon) -> tuple[slice, slice]:
    """Give the rows and columns of pixels that hold a polygon."""
    left, top, right, bottom = polygon.bounds
    return slice(math.floor(top), math.ceil(bottom)), slice(math.floor(left), math.ceil(right))


def draw_polygon(polygon: Polygon, window: tuple[slice, slice]) -> NDArray[np.bool_]:
    """Draws the pixels of a window whose centres lie inside a polygon, exactly."""
    rows, columns = window
    crossed = np.zeros((rows.stop - rows.start, columns.stop - columns.start + 1), bool)
    for ring in (polygon.exterior, *polygon.interiors):
        y, x = _cross_rows(ring)
        column = np.clip(np.ceil(x - 0.5).astype(np.int64) - columns.start, 0, crossed.shape[1] - 1)
        np.logical_xor.at(crossed, (y - rows.start, column), True)
    np.logical_xor.accumulate(crossed, axis=1, out=crossed)
    return crossed[:, :-1]


def _cross_rows(ring: LinearRing) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Returns each row of pixel centres that a ring crosses, and the x at which it does."""
    (x, y), (x_end, y_end) = (shapely.get_coordinates(ring)[part].T for part in (np.s_[:-1], np.s_[1:]))
    first = np.ceil(np.minimum(y, y_end) - 0.5).astype(np.int64)
    counts = np.ceil(np.maximum(y, y_end) - 0.5).astype(np.int64) - first
    edge = np.repeat(np.arange(len(x)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x_end - x)[edge] / (y_end - y)[edge]
    return row, x[edge] + (row + 0.5 - y[edge]) * slope
