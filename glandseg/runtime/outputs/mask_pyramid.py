"""The smaller levels of a pyramid, each decided from the full-size pixels.

A pixel of a mask's smaller level is gland where more than half of its box of full-size pixels is. Taking
every second pixel would tear thin glands, averages would be grey rather than labels, and levels decided from
the level above would round again at each, until thin glands vanish or swell. Half-covered boxes alternate
like the fields of a chessboard, as one rule for all of them would move every straight edge the same way. A
level is as many pixels wide as whole boxes fit, so that no level reaches beyond the slide.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import ReadableMap, TileMap

TILE = 512
_MAX_LEVELS = 1 + int(math.log2(TILE))  # boxes are no larger than a tile, so that each lies in one
Box = tuple[int, int]  # height, width in full-size pixels
# Called with the map, the smaller levels to fill, and the boxes of all.
Fill = Callable[[ReadableMap, Sequence[TileMap], Sequence[Box]], None]


def list_boxes(shape_hw: tuple[int, int]) -> list[Box]:
    """Return the size, in full-size pixels, of a pixel of each level, full size first.

    There are levels until the longer side is at most 512 px; a side of 1 px is not shrunk.
    """
    (height, width), boxes = shape_hw, [(1, 1)]
    while len(boxes) < _MAX_LEVELS and max(height // boxes[-1][0], width // boxes[-1][1]) > TILE:
        y, x = boxes[-1]
        boxes.append((y * min(2, height // y), x * min(2, width // x)))
    return boxes


def read_tiles(level: ReadableMap) -> Iterator[tuple[int, int, NDArray[np.uint8]]]:
    """Yield the top, left and pixels of a level's tiles; those at the far edges are smaller."""
    height, width = level.shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            yield top, left, level.read(top, left, min(top + TILE, height), min(left + TILE, width))


def fill_levels(full: ReadableMap, smaller: Sequence[TileMap], boxes: Sequence[Box]) -> None:
    """Fill the smaller levels of a mask with 255 and 0; empty parts are not written.

    Args:
        full: The mask, gland where not 0.
        smaller: Levels to fill.
        boxes: Size of a pixel of each level, as from `list_boxes`.
    """
    _fill(full, smaller, boxes, lambda part: part != 0, _decide)


def fill_means(full: ReadableMap, smaller: Sequence[TileMap], boxes: Sequence[Box]) -> None:
    """Fill the smaller levels with the means of full-size pixels, rounded; arguments as `fill_levels`."""
    _fill(full, smaller, boxes, lambda part: part, _average)


def _fill(
    full: ReadableMap,
    smaller: Sequence[TileMap],
    boxes: Sequence[Box],
    count: Callable[[NDArray[np.uint8]], NDArray[Any]],
    decide: Callable[[NDArray[np.int32], int, int], NDArray[np.uint8]],
) -> None:
    for top, left, part in read_tiles(full) if smaller else ():
        if not part.any():
            continue
        total, (last_y, last_x) = count(part).astype(np.int32), boxes[0]
        for level, (y, x) in zip(smaller, boxes[1:], strict=True):
            total = _add_neighbours(total, y // last_y, x // last_x)
            if total.size == 0:
                break
            level.write(top // y, left // x, decide(total, y * x, top // y + left // x))
            last_y, last_x = y, x


def _add_neighbours(total: NDArray[np.int32], by_y: int, by_x: int) -> NDArray[np.int32]:
    """Sum boxes of `by_y` rows by `by_x` columns; partial boxes at the far edges are left out."""
    height, width = (side // by * by for side, by in zip(total.shape, (by_y, by_x), strict=True))
    whole = total[:height, :width]
    rows = np.stack([whole[first::by_y] for first in range(by_y)]).sum(axis=0, dtype=np.int32)
    boxes = np.stack([rows[:, first::by_x] for first in range(by_x)]).sum(axis=0, dtype=np.int32)
    return np.asarray(boxes, np.int32)


def _decide(covered: NDArray[np.int32], box_px: int, first: int) -> NDArray[np.uint8]:
    """Return 255 where more than half of a box is covered, or half of it on every other pixel.

    Args:
        covered: (h, w), covered pixels of each box.
        box_px: Pixels of a box.
        first: Row plus column of the first box, which fixes the chessboard.
    """
    row, column = np.ogrid[: covered.shape[0], : covered.shape[1]]
    turn = (row + column + first) % 2
    return np.where(2 * covered + turn > box_px, 255, 0).astype(np.uint8)


def _average(total: NDArray[np.int32], box_px: int, first: int) -> NDArray[np.uint8]:
    return np.asarray((total + box_px // 2) // box_px, np.uint8)
