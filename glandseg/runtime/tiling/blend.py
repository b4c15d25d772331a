"""Overlapping windows blended into one value for each px.

At most four windows meet at a px, and their weights, whole numbers that fall towards a window's edge, sum to
the same everywhere: seams vanish. Sums of whole numbers do not depend on their order, so that any cut of the
plane into blocks, any batch and any number of threads give the same bytes; with floats they would not.
Rows and columns are cut where the windows that cover them change: inside, most px are one window's alone and
are copied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
from numpy.typing import NDArray

from glandseg.model.windows import MARGIN_PX, STRIDE_PX, UNIT, window_weights
from glandseg.runtime.tiling.grid import Grid

WHOLE = UNIT * UNIT  # the sum of the weights of all windows at a px
GetWindow = Callable[[int, int], NDArray[np.uint8] | None]  # row, column -> (320, 320) uint8, None: not run


def blend_windows(
    grid: Grid, get: GetWindow, top: int, left: int, bottom: int, right: int
) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
    """Blend the windows that were run over a rectangle; the result does not depend on how it is cut.

    Args:
        grid: Grid of the windows.
        get: Called with (row, column); returns the window's probabilities, None where it was not run.
        top: First row.
        left: First column.
        bottom: End of the rows, excluded.
        right: End of the columns, excluded.

    Returns:
        (rows, columns) uint8, the mean of the windows by their weights, 0 where none was run; and
        (rows, columns) uint32 in 0..WHOLE, the weight of those that were.
    """
    get = cache(get)  # a window covers parts of up to nine blocks
    mean = np.zeros((bottom - top, right - left), np.uint8)
    weight = np.zeros(mean.shape, np.uint32)
    rows, columns = len(grid.rows), len(grid.columns)
    near = product(_list_near(top, bottom, rows), _list_near(left, right, columns))
    if all(get(row, column) is None for row, column in near):  # glass, as most of a slide is
        return mean, weight
    for down in _cut(top, bottom, rows):
        for across in _cut(left, right, columns):
            block = np.s_[down.first - top : down.last - top, across.first - left : across.last - left]
            if blended := _blend_block(get, down, across):
                mean[block], weight[block] = blended
    return mean, weight


@dataclass(frozen=True)
class _Stretch:
    """Rows, or columns, that the same windows cover: one alone, or two that overlap.

    Attributes:
        first: First px of the plane.
        last: End, excluded.
        windows: One or two indices on the axis.
        count: Number of windows on the axis.
    """

    first: int
    last: int
    windows: tuple[int, ...]
    count: int

    def locate(self, index: int) -> slice:
        """Return where the stretch lies in one of its windows."""
        start = self.windows[index] * STRIDE_PX - MARGIN_PX
        return slice(self.first - start, self.last - start)

    def weigh(self, index: int) -> NDArray[np.uint32]:
        """Return the weights of one of its windows there, 0..UNIT."""
        return window_weights(self.windows[index], self.count)[self.locate(index)]


def _blend_block(
    get: GetWindow, down: _Stretch, across: _Stretch
) -> tuple[NDArray[np.uint8], NDArray[np.uint32] | int] | None:
    """Return the mean and the weight of the windows that cover a block; None where none was run."""
    if len(down.windows) == len(across.windows) == 1:
        values = get(down.windows[0], across.windows[0])
        return None if values is None else (values[down.locate(0), across.locate(0)], WHOLE)
    total = weight = np.uint32(0)
    for i, row in enumerate(down.windows):
        for j, column in enumerate(across.windows):
            values = get(row, column)
            if values is not None:
                weights = down.weigh(i)[:, None] * across.weigh(j)
                total = total + values[down.locate(i), across.locate(j)] * weights
                weight = weight + weights
    if not isinstance(total, np.ndarray):
        return None
    mean = (total + weight // 2) // np.maximum(weight, 1)
    return mean.astype(np.uint8), weight


def _list_near(start: int, end: int, count: int) -> range:
    """List the windows of an axis that may cover some of start..end."""
    return range(max((start - MARGIN_PX) // STRIDE_PX - 1, 0), min((end + MARGIN_PX) // STRIDE_PX + 1, count))


def _cut(start: int, end: int, count: int) -> Iterator[_Stretch]:
    """Cut start..end of an axis with `count` windows where the windows that cover it change."""
    for index in range(max((start - MARGIN_PX) // STRIDE_PX, 0), count):
        edge = index * STRIDE_PX  # the middle of the overlap with the window before
        if edge - MARGIN_PX >= end:
            return
        alone = edge + MARGIN_PX if index else 0
        beyond = edge + STRIDE_PX - MARGIN_PX if index < count - 1 else end
        stretches = ((edge - MARGIN_PX, alone, (index - 1, index)), (alone, beyond, (index,)))
        for first, last, windows in stretches:
            if max(first, start) < min(last, end) and windows[0] >= 0:
                yield _Stretch(max(first, start), min(last, end), windows, count)
