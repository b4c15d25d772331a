"""The smaller levels of a mask are the means of whole boxes: they neither drift, spread nor overhang."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.mask_pyramid import fill_levels, list_boxes

LayMap = Callable[[NDArray[Any]], TileMap]


def shrink(mask: NDArray[np.bool_], lay_map: LayMap, folder: Path) -> list[NDArray[np.uint8]]:
    boxes = list_boxes((mask.shape[0], mask.shape[1]))
    shapes = [(mask.shape[0] // y, mask.shape[1] // x) for y, x in boxes]
    with ExitStack() as files:
        maps = [files.enter_context(TileMap(folder / str(i), *size)) for i, size in enumerate(shapes[1:])]
        levels = [lay_map(mask), *maps]
        fill_levels(levels[0], levels[1:], boxes)
        return [level.read(0, 0, *level.shape) for level in levels[1:]]


def draw_blobs(height: int, width: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[:height, :width]
    return np.asarray(np.sin(x / 17.3) + np.sin(y / 13.1 + x / 50) > 0.4)


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((1, 1), [(1, 1)]),
        ((512, 512), [(1, 1)]),
        ((513, 20), [(1, 1), (2, 2)]),
        ((1, 3000), [(1, 1), (1, 2), (1, 4), (1, 8)]),
        ((2100, 3), [(1, 1), (2, 2), (4, 2), (8, 2)]),
        ((400_000, 9), [(2**n, min(2**n, 8)) for n in range(10)]),
    ],
)
def test_levels_end_at_512_px(shape: tuple[int, int], boxes: list[tuple[int, int]]) -> None:
    assert list_boxes(shape) == boxes


@pytest.mark.parametrize("shape", [(1100, 1300), (2101, 517), (1, 1200), (2100, 3), (1026, 3)])
def test_a_pixel_is_the_majority_of_its_whole_box(
    shape: tuple[int, int], tmp_path: Path, lay_map: LayMap
) -> None:
    mask = draw_blobs(*shape)
    levels = shrink(mask, lay_map, tmp_path)
    assert len(levels) == len(list_boxes(shape)) - 1 > 0
    for level, (y, x) in zip(levels, list_boxes(shape)[1:], strict=True):
        rows, columns = shape[0] // y, shape[1] // x
        mean = mask[: rows * y, : columns * x].reshape(rows, y, columns, x).mean(axis=(1, 3))
        assert level.shape == (rows, columns)
        assert np.array_equal(level[mean != 0.5], np.where(mean[mean != 0.5] > 0.5, 255, 0))


def test_levels_neither_drift_nor_spread(tmp_path: Path, lay_map: LayMap) -> None:
    corners = np.argwhere(np.ones((16, 16))) * 129  # every place that a square can have in a box of 16 px
    mask = np.zeros((2064, 2064), bool)
    for top, left in corners:
        mask[top : top + 40, left : left + 40] = True
    for number, level in enumerate(shrink(mask, lay_map, tmp_path), 1):
        drifts: list[NDArray[np.float64]] = []
        for top, left in corners >> number:
            part = level[max(top - 2, 0) : top + (50 >> number), max(left - 2, 0) : left + (50 >> number)]
            found = np.argwhere(part).mean(axis=0) + 0.5 + np.maximum([top - 2, left - 2], 0)
            drifts.append(found - ((corners[len(drifts)] + 20) / 2**number))
        assert np.abs(np.mean(drifts, axis=0)).max() < 0.02
        assert np.count_nonzero(level) * 4**number == pytest.approx(np.count_nonzero(mask), rel=0.03)
