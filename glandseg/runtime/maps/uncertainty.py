"""Regions where the network is least sure, to be corrected first.

A px is uncertain by 1 - |2p - 1|: 1 where p(gland) is a half, 0 where the network has decided. The squares
with the highest mean are taken one after the other, none overlapping an earlier one. Background counts as
sure, so a square on the edge of the tissue comes late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import ReadableMap

SIDE_UM = 500.0  # of a square: some minutes of work
_STEPS = 4  # positions of a square within its own side


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """A square to correct.

    Attributes:
        left_l0: Its left edge in level-0 px.
        top_l0: Its upper edge in level-0 px.
        width_l0: Its width; less than its height where it would leave the slide.
        height_l0: Its height.
        uncertainty: Mean uncertainty, 0..1.
    """

    left_l0: float
    top_l0: float
    width_l0: float
    height_l0: float
    uncertainty: float


def suggest_regions(
    probability: ReadableMap, um_per_px: float, l0_per_px: float, count: int
) -> tuple[Suggestion, ...]:
    """Find at most `count` squares that do not overlap, the least certain first; none that is wholly sure.

    Args:
        probability: (H, W) uint8, 255 p(gland); read once, in bands of rows, if any square is wanted.
        um_per_px: Size of its px.
        l0_per_px: Level-0 px per px of the map.
        count: Number of squares wanted.
    """
    if not count:
        return ()
    step = max(1, round(SIDE_UM / _STEPS / um_per_px))
    means = _average_squares(_average_cells(probability, step))
    found: list[Suggestion] = []
    while len(found) < count and (uncertainty := float(means.max())) > 0:
        row, column = (int(place) for place in np.unravel_index(means.argmax(), means.shape))
        near = (slice(max(0, place - _STEPS + 1), place + _STEPS) for place in (row, column))
        means[tuple(near)] = 0
        top, left = row * step, column * step
        bottom, right = (
            min(edge + _STEPS * step, side) for edge, side in zip((top, left), probability.shape, strict=True)
        )
        found.append(
            Suggestion(
                left_l0=round(left * l0_per_px, 2),
                top_l0=round(top * l0_per_px, 2),
                width_l0=round((right - left) * l0_per_px, 2),
                height_l0=round((bottom - top) * l0_per_px, 2),
                uncertainty=round(uncertainty, 4),
            )
        )
    return tuple(found)


def _average_cells(probability: ReadableMap, step: int) -> NDArray[np.float64]:
    """Average the uncertainty in cells of `step` x `step` px; what lies outside the map is sure."""
    height, width = probability.shape
    cells = np.zeros((-(-height // step), -(-width // step)))
    padding = cells.shape[1] * step - width
    for row, top in enumerate(range(0, height, step)):
        band = probability.read(top, 0, min(top + step, height), width)
        uncertainty = 255 - np.abs(2 * band.astype(np.int64) - 255)
        sums = np.pad(uncertainty.sum(axis=0), (0, padding)).reshape(-1, step).sum(axis=1)
        cells[row] = sums / (255 * step**2)
    return cells


def _average_squares(cells: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average each square of cells, by its upper left cell; a map smaller than a square has one."""
    missing = [max(0, _STEPS - side) for side in cells.shape]
    padded = np.pad(cells, [(0, side) for side in missing])
    squares = np.lib.stride_tricks.sliding_window_view(padded, (_STEPS, _STEPS))
    return np.asarray(squares.mean(axis=(2, 3)))
