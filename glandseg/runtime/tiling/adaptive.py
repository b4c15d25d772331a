"""Cheap scales everywhere, dear ones only where the cheap ones leave the answer open."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.maps.tile_map import TILE_PX
from glandseg.runtime.tiling.blend import BLOCK_PX
from glandseg.runtime.tiling.order import Step, find_final, list_windows
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import Key, WindowStore

GRID_PX = 32  # px of the base plane to a cell in which unsure px are counted
UNSURE = (64, 191)  # p(gland) of 255 between which the cheap scales have not decided
LEAST_SHARE = 0.3  # of a window's px, times its scale, that must be unsure for it to be worth running


@dataclass(kw_only=True)
class AdaptiveRoute:
    """The order of windows where some depend on what others said.

    Attributes:
        planes: of all scales; the cheap ones come first.
        cheap: how many are cheap.
        always: other planes whose windows are wanted everywhere; their keys count on after `planes`.
        store: of the windows.
        height_px: of the base plane.
        width_px: of the base plane.
        swath_px: rows of the base plane to a swath.
    """

    planes: Sequence[ScalePlane]
    cheap: int
    always: Sequence[ScalePlane] = ()
    store: WindowStore
    height_px: int
    width_px: int
    swath_px: int
    _weighed: int = field(default=0)  # rows whose unsure px are counted
    _chosen: int = field(default=0)  # rows above which all dear windows that start there were decided on

    def __iter__(self) -> Iterator[Step]:
        """Give the cheap windows of a swath, then the dear ones that they call for, and so on."""
        cheap = [*self.planes[: self.cheap], *self.always]
        beyond = len(self.planes) - self.cheap
        final_px = 0
        for top in range(0, self.height_px, self.swath_px):
            last = top + self.swath_px >= self.height_px
            keys = list_windows(cheap, top, top + self.swath_px)
            windows = [key._replace(plane=key.plane + beyond * (key.plane >= self.cheap)) for key in keys]
            yield Step(windows=windows, final_px=final_px, settles=True)
            known = self.height_px if last else find_final(cheap, top + self.swath_px)
            self._weigh_rows(known)
            dear = self._choose_dear(known, last)
            final_px = self.height_px if last else min(known, find_final(self.planes, self._chosen))
            yield Step(windows=dear, final_px=final_px)

    @cached_property
    def _unsure(self) -> NDArray[np.uint16]:
        """Unsure px in each cell of the grid."""
        return np.zeros((-(-self.height_px // GRID_PX), -(-self.width_px // GRID_PX)), np.uint16)

    def _weigh_rows(self, bottom: int) -> None:
        cheap = self.planes[: self.cheap]
        gets = [self.store.get_from(index) for index in range(self.cheap)]
        for top in range(self._weighed, bottom, TILE_PX):
            end = min(top + TILE_PX, bottom)
            for left in range(0, self.width_px, BLOCK_PX):
                right = min(left + BLOCK_PX, self.width_px)
                mean = average_scales(cheap, gets, top, left, end, right)
                self._unsure[top // GRID_PX : -(-end // GRID_PX), left // GRID_PX : -(-right // GRID_PX)] = (
                    count_unsure(mean)
                )
        self._weighed = bottom

    def _choose_dear(self, known: int, last: bool) -> list[Key]:
        """Choose among the dear windows that end above row `known`, and were not decided on yet."""
        reach = max(WINDOW_PX / item.scale for item in self.planes)
        bottom = self.height_px if last else max(known - math.ceil(reach), self._chosen)
        keys = list_windows(self.planes, self._chosen, bottom)
        self._chosen = bottom
        return [key for key in keys if key.plane >= self.cheap and self._is_unsure(key)]

    def _is_unsure(self, key: Key) -> bool:
        item = self.planes[key.plane]
        y, x = item.grid.rows[key.row] / item.scale, item.grid.columns[key.column] / item.scale
        side = WINDOW_PX / item.scale
        cells = self._unsure[
            max(int(y) // GRID_PX, 0) : math.ceil((y + side) / GRID_PX),
            max(int(x) // GRID_PX, 0) : math.ceil((x + side) / GRID_PX),
        ]
        return bool(cells.sum() >= LEAST_SHARE * item.scale * side * side)


def count_unsure(probability: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count the unsure px in each 32 x 32 cell of a block, (rows, columns) uint8 of p(gland)."""
    unsure = (probability >= UNSURE[0]) & (probability <= UNSURE[1])
    height, width = (-(-size // GRID_PX) * GRID_PX for size in unsure.shape)
    cells = np.zeros((height, width), np.bool_)
    cells[: unsure.shape[0], : unsure.shape[1]] = unsure
    grid = cells.reshape(height // GRID_PX, GRID_PX, width // GRID_PX, GRID_PX)
    return np.asarray(grid.sum(axis=(1, 3)), np.uint16)
