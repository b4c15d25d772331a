"""Polygons drawn as pixels, exactly: a pixel is inside where its centre is."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.annotations.geometry import list_edges
from glandseg.runtime.maps.tile_map import TileMap

STRIP_PX = 1 << 20  # pixels drawn or contoured together
MAX_CROSSINGS = 1 << 22  # of rows and edges, computed together


def draw_strips(polygon: Polygon, strip_px: int = STRIP_PX) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Yield the first row, first column and pixels of each strip of rows of a polygon, from the top.

    A pixel is True where its centre lies inside. All strips are as wide as the polygon's bounds and hold at
    most `strip_px` pixels or one row, so memory does not follow the polygon's area.
    """
    left, top, right, bottom = polygon.bounds
    start, stop, first, width = math.floor(top), math.ceil(bottom), math.floor(left), math.ceil(right)
    width -= first
    y, x, _ = _cross_rows(list_edges(np.array([polygon], object)), start, stop)
    order = np.argsort(y, kind="stable")
    y, x = y[order], x[order]
    rows = max(1, strip_px // max(1, width))
    for row in range(start, stop, rows):
        here = slice(*np.searchsorted(y, [row, row + rows]))
        yield row, first, _fill(y[here] - row, x[here] - first, min(rows, stop - row), width)


def draw_polygon(polygon: Polygon, mask: TileMap) -> None:
    """Set a polygon's pixels to 255, holes excluded; the mask clips it on the right and at the bottom."""
    for top, left, body in draw_inside(polygon, mask.shape):
        part = mask.read(top, left, top + body.shape[0], left + body.shape[1])
        part[body] = 255
        mask.write(top, left, part)


def draw_inside(polygon: Polygon, shape: tuple[int, int]) -> Iterator[tuple[int, int, NDArray[np.bool_]]]:
    """Yield the strips of `draw_strips`, clipped to a (height, width) on the right and at the bottom."""
    for top, left, strip in draw_strips(polygon):
        body = strip[: max(0, shape[0] - top), : max(0, shape[1] - left)]
        if body.size:
            yield top, left, body


def draw_union(
    polygons: NDArray[np.object_], x_px: int, y_px: int, width_px: int, height_px: int
) -> NDArray[np.bool_]:
    """Draw a window of the union of valid polygons; a pixel's value does not depend on the window.

    Outer rings turn one way and holes the other, so the sum of signed crossings left of a pixel is the
    number of polygons that cover it: one pass draws any number of polygons, and they need not be united.

    Args:
        polygons: (N,) valid shapely polygons; they may overlap.
        x_px: Left edge of the window.
        y_px: Top edge of the window.
        width_px: Width of the window.
        height_px: Height of the window.

    Returns:
        (height_px, width_px) bool.
    """
    edges = list_edges(np.asarray(shapely.orient_polygons(polygons), object))
    covers = np.zeros((height_px, width_px + 1), np.int32)
    for part in _split_edges(edges, y_px, y_px + height_px):
        y, x, turn = _cross_rows(part, y_px, y_px + height_px)
        np.add.at(covers, (y - y_px, np.clip(x - x_px, 0, width_px)), turn)
    np.cumsum(covers, axis=1, out=covers)
    return np.asarray(covers[:, :-1] != 0, np.bool_)


def _fill(rows: NDArray[np.int64], columns: NDArray[np.int64], height: int, width: int) -> NDArray[np.bool_]:
    """Fill each row from every odd crossing to the next, (height, width)."""
    crossed = np.zeros((height, width + 1), bool)
    np.logical_xor.at(crossed, (rows, np.clip(columns, 0, width)), True)
    np.logical_xor.accumulate(crossed, axis=1, out=crossed)
    return crossed[:, :-1]


def _split_edges(edges: NDArray[np.float64], start: int, stop: int) -> Iterator[NDArray[np.float64]]:
    """Yield the edges that cross rows of start..stop, in parts of about MAX_CROSSINGS crossings."""
    first, last = _find_rows(edges, start, stop)
    kept = last > first
    before = np.cumsum((last - first)[kept])
    cuts = np.searchsorted(
        before, np.arange(MAX_CROSSINGS, int(before[-1]) if len(before) else 0, MAX_CROSSINGS)
    )
    yield from np.split(edges[kept], np.unique(cuts))


def _find_rows(
    edges: NDArray[np.float64], start: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first row of start..stop whose centre each edge crosses, and the row after the last."""
    y, y_end = edges[:, 1], edges[:, 3]
    first = np.clip(np.ceil(np.minimum(y, y_end) - 0.5), start, stop).astype(np.int64)
    last = np.clip(np.ceil(np.maximum(y, y_end) - 0.5), start, stop).astype(np.int64)
    return first, last


def _cross_rows(
    edges: NDArray[np.float64], start: int, stop: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Return the rows of start..stop whose pixel centres edges cross, the column, and the sense.

    The column is the first whose centre lies beyond the crossing; the sense is 1 for edges that run down and
    -1 for those that run up.
    """
    x, y, x_end, y_end = edges.T
    first, last = _find_rows(edges, start, stop)
    counts = last - first
    edge = np.repeat(np.arange(len(x)), counts)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(counts) - counts, counts)
    slope = (x_end - x)[edge] / (y_end - y)[edge]
    column = np.ceil(x[edge] + (row + 0.5 - y[edge]) * slope - 0.5).astype(np.int64)
    return row, column, np.where(y_end > y, 1, -1)[edge].astype(np.int32)
