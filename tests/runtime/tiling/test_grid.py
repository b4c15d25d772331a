"""Windows that blend into one value for each px."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.windows import MARGIN_PX, UNIT, WINDOW_PX, window_weights
from glandseg.runtime.tiling.blend import WHOLE, blend_windows
from glandseg.runtime.tiling.grid import Grid

Windows = dict[tuple[int, int], NDArray[np.uint8]]
SIZES = [(1000, 700), (256, 256), (257, 10), (1, 1), (513, 512), (1500, 33)]


@pytest.fixture
def fill() -> Callable[[Grid], Windows]:
    def fill(grid: Grid) -> Windows:
        rng = np.random.default_rng(0)
        places = np.ndindex(len(grid.rows), len(grid.columns))
        return {place: rng.integers(0, 256, (WINDOW_PX, WINDOW_PX), np.uint8) for place in places}

    return fill


def blend_plainly(grid: Grid, windows: Windows) -> NDArray[np.uint8]:
    """Add up all windows by their weights, on a canvas with room around it."""
    room = WINDOW_PX
    total = np.zeros((grid.height_px + 2 * room, grid.width_px + 2 * room), np.uint64)
    for (row, column), values in windows.items():
        down = window_weights(row, len(grid.rows)).astype(np.uint64)
        across = window_weights(column, len(grid.columns)).astype(np.uint64)
        y, x = grid.rows[row] + room, grid.columns[column] + room
        total[y : y + WINDOW_PX, x : x + WINDOW_PX] += values * down[:, None] * across
    mean = (total + UNIT * UNIT // 2) // (UNIT * UNIT)
    return mean[room:-room, room:-room].astype(np.uint8)


@pytest.mark.parametrize("size", SIZES)
def test_it_is_the_weighted_sum(size: tuple[int, int], fill: Callable[[Grid], Windows]) -> None:
    grid = Grid(*size)
    windows = fill(grid)
    mean, weight = blend_windows(grid, lambda i, j: windows[i, j], 0, 0, grid.height_px, grid.width_px)
    assert (weight == WHOLE).all()
    assert np.array_equal(mean, blend_plainly(grid, windows))


def test_it_does_not_depend_on_how_it_is_cut(fill: Callable[[Grid], Windows]) -> None:
    grid = Grid(1000, 700)
    windows = fill(grid)
    rng = np.random.default_rng(1)
    missing = {(1, 1), (2, 3)}

    def get(row: int, column: int) -> NDArray[np.uint8] | None:
        return None if (row, column) in missing else windows[row, column]

    mean, weight = blend_windows(grid, get, 0, 0, 700, 1000)
    for _ in range(30):
        top, left = int(rng.integers(0, 700)), int(rng.integers(0, 1000))
        bottom, right = int(rng.integers(top + 1, 701)), int(rng.integers(left + 1, 1001))
        part = blend_windows(grid, get, top, left, bottom, right)
        assert np.array_equal(part[0], mean[top:bottom, left:right])
        assert np.array_equal(part[1], weight[top:bottom, left:right])


def test_a_window_that_was_not_run_has_no_say(fill: Callable[[Grid], Windows]) -> None:
    grid = Grid(512, 256)
    windows = {place: np.full((WINDOW_PX, WINDOW_PX), 200, np.uint8) for place in fill(grid)}
    mean, weight = blend_windows(grid, lambda i, j: windows[i, j] if j == 0 else None, 0, 0, 256, 512)
    assert np.array_equal(mean, np.where(weight, 200, 0))
    assert weight[:, : 256 + MARGIN_PX - 4].all()
    assert (weight[:, : 256 - MARGIN_PX] == WHOLE).all()
    assert (np.diff(weight[0].astype(np.int64)) <= 0).all()
    assert not weight[:, 256 + MARGIN_PX :].any()
