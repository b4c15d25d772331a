"""The windows of a plane: where each lies, and how they blend into one value for each px."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np
from numpy.typing import NDArray

from glandseg.model.windows import MARGIN_PX, STRIDE_PX, UNIT, window_starts, window_weights

WHOLE = UNIT * UNIT  # the weights of all windows at a px sum to this
GetWindow = Callable[[int, int], NDArray[np.uint8] | None]  # row, column -> (320, 320) uint8, None: not run


@dataclass(frozen=True)
class Grid:
    """Windows of 320 px every 256 px over a plane.

    Attributes:
        width_px: of the plane.
        height_px: of the plane.
    """

    width_px: int
    height_px: int

    @cached_property
    def rows(self) -> list[int]:
        """Where each row of windows starts."""
        return window_starts(self.height_px)

    @cached_property
    def columns(self) -> list[int]:
        """Where each column of windows starts."""
        return window_starts(self.width_px)

    def blend(
        self, get: GetWindow, top: int, left: int, bottom: int, right: int
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint32]]:
        """Blend the windows that were run over a rectangle; the result does not depend on how it is cut.

        Args:
            get: gives a window's probabilities.
            top: first row.
            left: first column.
            bottom: end of the rows, excluded.
            right: end of the columns, excluded.

        Returns:
            (rows, columns) uint8, the mean of the windows by their weights, 0 where none was run; and
            (rows, columns) uint32 in 0..WHOLE, the weight of those that were.
        """
        get = cache(get)  # a window answers for up to nine blocks
        mean = np.zeros((bottom - top, right - left), np.uint8)
        weight = np.zeros(mean.shape, np.uint32)
        for down in _cut(top, bottom, len(self.rows)):
            for across in _cut(left, right, len(self.columns)):
                block = np.s_[down.first - top : down.last - top, across.first - left : across.last - left]
                mean[block], weight[block] = self._blend_block(get, down, across)
        return mean, weight

    def _blend_block(
        self, get: GetWindow, down: _Stretch, across: _Stretch
    ) -> tuple[NDArray[np.uint8] | int, NDArray[np.uint32] | int]:
        if len(down.windows) == len(across.windows) == 1:
            values = get(down.windows[0], across.windows[0])
            return (0, 0) if values is None else (values[down.inside(0), across.inside(0)], WHOLE)
        total = weight = np.uint32(0)
        for i, row in enumerate(down.windows):
            for j, column in enumerate(across.windows):
                values = get(row, column)
                if values is not None:
                    weights = down.weigh(i, len(self.rows))[:, None] * across.weigh(j, len(self.columns))
                    total = total + values[down.inside(i), across.inside(j)] * weights
                    weight = weight + weights
        mean = (total + weight // 2) // np.maximum(weight, 1)
        return mean.astype(np.uint8), weight


@dataclass(frozen=True)
class _Stretch:
    """Rows, or columns, that the same windows answer for: one alone, or two that pass from one to the other.

    Attributes:
        first: px of the plane.
        last: end, excluded.
        windows: one or two indices on the axis.
    """

    first: int
    last: int
    windows: tuple[int, ...]

    def inside(self, index: int) -> slice:
        """Give where the stretch lies in one of its windows."""
        start = self.windows[index] * STRIDE_PX - MARGIN_PX
        return slice(self.first - start, self.last - start)

    def weigh(self, index: int, count: int) -> NDArray[np.uint32]:
        """Give the weights of one of its windows there, 0..UNIT, `count` windows being on the axis."""
        return window_weights(self.windows[index], count)[self.inside(index)]


def _cut(start: int, end: int, count: int) -> Iterator[_Stretch]:
    """Cut start..end of an axis with `count` windows where the windows that answer change."""
    for index in range(max((start - MARGIN_PX) // STRIDE_PX, 0), count):
        edge = index * STRIDE_PX  # the middle of the ramp before the window
        if edge - MARGIN_PX >= end:
            return
        alone = edge + MARGIN_PX if index else 0
        beyond = edge + STRIDE_PX - MARGIN_PX if index < count - 1 else end
        stretches = ((edge - MARGIN_PX, alone, (index - 1, index)), (alone, beyond, (index,)))
        for first, last, windows in stretches:
            if max(first, start) < min(last, end) and windows[0] >= 0:
                yield _Stretch(max(first, start), min(last, end), windows)
