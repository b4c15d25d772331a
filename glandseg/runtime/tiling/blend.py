"""From finished windows to final rows of the maps, and on to the glands in them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glandseg.core.system import release_memory
from glandseg.runtime.maps.tile_map import TILE_PX, TileMap
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import Key, WindowStore

BLOCK_PX = 2048  # columns blended at once
LOOK = 255  # stands for a plane's index in the keys of unstained pixels

# x, y, width, height in px of the base plane -> (height, width) bool of px to leave out, None for none.
Exclude = Callable[[int, int, int, int], "NDArray[np.bool_] | None"]


@dataclass(kw_only=True)
class RowFinisher:
    """Blends stored windows into maps, rows from the top, each once.

    Attributes:
        planes: one for each scale, in the order of the keys' planes.
        store: of the windows.
        probability: the base plane's p(gland), written here.
        unstained: 0 and 1 of the base plane, written here.
        excludes: each tells px that no gland may lie on.
        trace: is told of rows that are final: the gland tracer.
    """

    planes: Sequence[ScalePlane]
    store: WindowStore
    probability: TileMap
    unstained: TileMap
    excludes: Sequence[Exclude]
    trace: Callable[[int], None]
    _done: int = field(default=0)

    def finish(self, rows: int) -> None:
        """Finish the maps down to a row, excluded; all windows that reach above it are stored."""
        width = self.probability.shape[1]
        for top in range(self._done, rows, TILE_PX):
            bottom = min(top + TILE_PX, rows)
            for left in range(0, width, BLOCK_PX):
                self._finish_block(top, left, bottom, min(left + BLOCK_PX, width))
        if rows > self._done:
            self._done = rows
            self.trace(rows)
            release_memory()

    def _finish_block(self, top: int, left: int, bottom: int, right: int) -> None:
        gets = [self.store.get_from(index) for index in range(len(self.planes))]
        mean = average_scales(self.planes, gets, top, left, bottom, right)
        if not mean.any():
            return
        for exclude in self.excludes:
            left_out = exclude(left, top, right - left, bottom - top)
            if left_out is not None:
                mean[left_out] = 0
        self.probability.write(top, left, mean)
        for column in range(left // TILE_PX, -(-right // TILE_PX)):
            look = self.store.get(Key(LOOK, top // TILE_PX, column))
            if look is not None:
                within = look[: bottom - top, : right - column * TILE_PX]
                self.unstained.write(top, column * TILE_PX, within)
