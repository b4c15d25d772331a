"""The order in which a slide's windows run.

Windows go swath by swath from the top, in a swath from left to right, all scales together: what was decoded
for one serves its neighbours and the other scales while it is still cached, and rows of the map become final
early, so that their glands can be traced and their memory freed. Scale after scale would read the slide once
for each, and nothing would be final before the end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glandseg.model.windows import STRIDE_PX, WINDOW_PX
from glandseg.runtime.maps.tile_map import TILE_PX
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_store import Key

SWATHS_PX = (4096, 2048, 1024, 512)  # heights tried where a slide is too wide for rows of windows
_READ_PX = 1024  # rows, or columns, of a plane that are in use around a row, or column, of windows


@dataclass(frozen=True, kw_only=True)
class Step:
    """Windows to run, and what is final once they have.

    Attributes:
        windows: Keys in the order to run them.
        final_px: Rows of the base plane, from the top, that no later window changes.
        is_barrier: Whether the next step depends on this one's finished windows.
    """

    windows: Sequence[Key] = ()
    final_px: int
    is_barrier: bool = False


def choose_swath_px(planes: Sequence[ScalePlane], cache_bytes: int) -> int:
    """Choose how many rows of the base plane are walked together from left to right.

    One row of windows where the cache holds it over the whole width: nothing is read twice and rows become
    final soonest. Otherwise a swath, high enough that little is read twice at its borders, and low enough
    that the cache holds the columns in use.
    """
    rows = sum(3 * _READ_PX * item.plane.width_px for item in planes)
    if rows <= cache_bytes:
        return STRIDE_PX
    columns = {
        swath: sum(3 * _READ_PX * (swath * item.scale + _READ_PX) for item in planes) for swath in SWATHS_PX
    }
    return next((swath for swath in SWATHS_PX if columns[swath] <= cache_bytes), SWATHS_PX[-1])


def order_windows(planes: Sequence[ScalePlane], height_px: int, swath_px: int) -> Iterator[Step]:
    """Order all wanted windows, swath by swath from the top, in a swath from left to right.

    Args:
        planes: The slide at each scale.
        height_px: Height of the base plane.
        swath_px: Rows of the base plane to a swath.
    """
    for top in range(0, height_px, swath_px):
        bottom = top + swath_px
        final_px = height_px if bottom >= height_px else find_final(planes, bottom)
        yield Step(windows=list_windows(planes, top, bottom), final_px=final_px)


def list_windows(planes: Sequence[ScalePlane], top: int, bottom: int) -> list[Key]:
    """List the wanted windows that start at rows top..bottom of the base plane, from left to right."""
    placed = [
        ((column_px + WINDOW_PX / 2) / item.scale, Key(index, row, column))
        for index, item in enumerate(planes)
        for row in find_rows(item, top, bottom)
        for column, column_px in enumerate(item.grid.columns)
        if item.wants(row, column)
    ]
    return [key for _, key in sorted(placed)]


def find_rows(item: ScalePlane, top: int, bottom: int) -> list[int]:
    """Find the rows of windows that start at rows top..bottom of the base plane; the first begins above 0."""
    return [row for row, y in enumerate(item.grid.rows) if top <= max(y / item.scale, 0) < bottom]


def find_final(planes: Sequence[ScalePlane], start: int) -> int:
    """Find the rows, a whole number of map tiles, that windows starting at row `start` do not change."""
    reach = math.ceil(1 / min(item.scale for item in planes)) + 1  # of interpolation
    return max(start - reach, 0) // TILE_PX * TILE_PX


def count_windows(planes: Sequence[ScalePlane]) -> int:
    """Count the wanted windows."""
    return sum(
        item.wants(row, column)
        for item in planes
        for row in range(len(item.grid.rows))
        for column in range(len(item.grid.columns))
    )
