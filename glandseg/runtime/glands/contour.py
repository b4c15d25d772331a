"""Contours of components: the level line half a grey step below the cut, traced in strips of rows.

Lines along pixel edges would overstate a circle's perimeter by 27 % and show as stairs, so contours are
interpolated between pixel centres. Half a step below the cut no pixel lies on the line, which leaves each
pixel clearly inside or outside. Pixels of other components are made negative first: where two touch by a
corner, interpolation could otherwise join them. Strips overlap by one row of pixel centres, and points are
rounded to a binary grid, so that lines of neighbouring strips end on equal coordinates and join exactly.

Memory follows the strip: about 40 bytes a pixel of it, and 6 a pixel of one band; of a component, only its
contour is held, about 150 bytes a point.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

import cv2
import numpy as np
import shapely
from contourpy import FillType, LineType, SerialContourGenerator, ZInterp
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.glands.components import Component
from glandseg.runtime.maps.rasterize import STRIP_PX
from glandseg.runtime.maps.tile_map import TileMap

_SNAP = 2.0**20  # contours lie on a grid of 2^-20 px, so that strips meet exactly


def trace_contour(
    probability: TileMap, component: Component, cut: int, band_rows: int, strip_px: int = STRIP_PX
) -> Polygon:
    """Trace a component's contour with all its holes, in map px.

    Args:
        probability: The map; the component's rows and the next one must be final.
        component: Found with the same `cut` in bands of `band_rows` rows.
        cut: Minimum grey value of the component's pixels.
        band_rows: Rows of a band; strips are whole bands, so that every piece in one has its seed there.
        strip_px: Maximum pixels of a strip, unless a band has more.
    """
    lines = [
        line
        for top, relief in _list_reliefs(
            probability, component, cut, _list_strips(component, band_rows, strip_px)
        )
        for line in _trace_lines(relief, top, component.box[1] - 1, strip_px)
    ]
    rings = _join_lines(lines)
    shell = max(range(len(rings)), key=lambda number: float(np.ptp(rings[number][:, 0])))
    return shapely.normalize(Polygon(rings.pop(shell), rings))


def _list_reliefs(
    probability: TileMap, component: Component, cut: int, strips: Iterable[tuple[int, int]]
) -> Iterator[tuple[int, NDArray[np.int16]]]:
    """Yield the first row and the heights of each strip of a component and 1 px around it, from the top.

    A strip begins with the last row of the one above, so that both meet on a row of pixel centres. Beyond
    the map's edge heights mirror the inside with the opposite sign, which puts the contour on the edge.
    """
    (top, _, bottom, _), height = component.box, probability.shape[0]
    above: NDArray[np.int16] | None = None
    for start, stop in strips:
        first = start - 1 if start == top else start
        last = stop + 1 if stop == bottom else stop
        relief = _raise_relief(probability, component, cut, max(first, 0), min(last, height))
        relief = _mirror(relief, (first < 0, last > height))
        if above is not None:
            relief, first = np.concatenate([above, relief]), first - 1
        yield first, relief
        above = relief[-1:].copy()


def _list_strips(component: Component, band_rows: int, strip_px: int) -> Iterator[tuple[int, int]]:
    """Yield the first row and the end of each strip: whole bands, clipped to the component."""
    top, left, bottom, right = component.box
    rows = band_rows * max(1, strip_px // (band_rows * (right - left)))
    begin = top - top % band_rows
    for start in range(begin, bottom, rows):
        yield max(start, top), min(start + rows, bottom)


def _raise_relief(
    probability: TileMap, component: Component, cut: int, top: int, bottom: int
) -> NDArray[np.int16]:
    """Turn rows of a component, and 1 px beside it, into heights whose zero line is its contour.

    Heights are odd, so none is zero; those of other components are made negative.
    """
    width = probability.shape[1]
    left, right = component.box[1] - 1, component.box[3] + 1
    window = probability.read(top, max(left, 0), bottom, min(right, width))
    others = _mark_others(window >= cut, component, (top, max(left, 0)), width)
    relief = window.astype(np.int16)
    relief *= 2
    relief -= 2 * cut - 1
    np.negative(relief, out=relief, where=others)
    return np.asarray(_mirror(relief.T, (left < 0, right > width)).T, np.int16)


def _mark_others(
    high: NDArray[np.bool_], component: Component, corner: tuple[int, int], width: int
) -> NDArray[np.bool_]:
    """Clear a component's pixels, from its seeds inside the window, and return those of the others."""
    top, left = corner
    inside = slice(*np.searchsorted(component.seeds, [top * width, (top + len(high)) * width]))
    rows, columns = np.divmod(component.seeds[inside], width)
    for y, x in zip((rows - top).tolist(), (columns - left).tolist(), strict=True):
        if high[y, x]:  # not yet cleared from another seed
            cv2.floodFill(high.view(np.uint8), None, (x, y), 0)
    return high


def _mirror(relief: NDArray[np.int16], edges: tuple[bool, bool]) -> NDArray[np.int16]:
    """Add a row above the first and below the last that are at the map's edge: theirs, made negative."""
    if not any(edges):
        return relief
    above, below = (-np.abs(row) for row in (relief[: edges[0]], relief[len(relief) - edges[1] :]))
    return np.concatenate([above, relief, below])


def _trace_lines(
    relief: NDArray[np.int16], top: int, left: int, strip_px: int
) -> Iterator[NDArray[np.float64]]:
    """Yield a relief's zero lines, (N, 2) xy in map px; `top`, `left` is the px of the relief's corner.

    A line is closed, or begins and ends on the first or last row; the heights above zero lie on its left.
    """
    rows = max(1, strip_px // relief.shape[1])
    for start in range(0, len(relief) - 1, rows):
        corner_xy = np.array([left + 0.5, top + start + 0.5])
        for points in _find_zero_lines(relief[start : start + rows + 1]):
            yield np.round((points + corner_xy) * _SNAP) / _SNAP


def _find_zero_lines(relief: NDArray[np.int16]) -> list[NDArray[np.float64]]:
    """Return what `contourpy.contour_generator` does, without its checks: they take longer than the lines."""
    x, y = np.empty((2, *relief.shape))
    x[:], y[:] = np.arange(relief.shape[1]), np.arange(relief.shape[0])[:, None]
    contours = SerialContourGenerator(
        x,
        y,
        relief.astype(np.float64),
        cast(Any, None),  # no px is masked
        corner_mask=False,
        line_type=LineType.Separate,
        fill_type=FillType.OuterCode,
        quad_as_tri=False,
        z_interp=ZInterp.Linear,
    )
    return cast("list[NDArray[np.float64]]", contours.lines(0))


def _join_lines(lines: list[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """Join lines, each of which begins where one ends, to closed rings."""
    starts = {tuple(line[0].tolist()): line for line in lines}
    rings = []
    while starts:
        first, line = starts.popitem()
        parts = [line]
        while (last := tuple(parts[-1][-1].tolist())) != first:
            parts.append(starts.pop(last)[1:])
        rings.append(np.concatenate(parts) if len(parts) > 1 else line)
    return rings
