"""Maps of a slide written from stored windows, as their rows become final.

Blocks of a map share no px, so that any number of threads blends them to the same bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from glandseg.core.system import release_memory
from glandseg.core.workers import Workers, await_result
from glandseg.runtime.maps.tile_map import TILE_PX, TileMap
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import CORE_PLANES, Key, WindowStore

BLOCK_PX = 2048  # columns blended together
UNSTAINED = 255  # index in the keys of unstained px, in place of a plane's

# x, y, width, height in px of the base plane -> (height, width) bool of px to leave out, None for none.
Exclude = Callable[[int, int, int, int], "NDArray[np.bool_] | None"]


@dataclass(kw_only=True)
class MapWriter:
    """Writes maps from stored windows, rows from the top, each once.

    Attributes:
        planes: Planes of the scales, in the order of the keys' planes.
        store: Finished windows.
        probability: p(gland) of the base plane, written here.
        unstained: 0 and 1 of the base plane, written here.
        core: p(core) of the base plane, written here where there is gland; None if it is not needed.
        excludes: Called with a rectangle of the base plane; return px on which no gland may lie.
        threads: Number of threads that blend blocks.
    """

    planes: Sequence[ScalePlane]
    store: WindowStore
    probability: TileMap
    unstained: TileMap
    core: TileMap | None = None
    excludes: Sequence[Exclude]
    threads: int
    _done: int = field(default=0)

    def write_rows(self, rows: int) -> None:
        """Write the maps down to a row, excluded; all windows that reach above it are stored."""
        if rows <= self._done:
            return
        width = self.probability.shape[1]
        with Workers("blend", self.threads) as workers:
            blocks = [
                workers.submit(
                    self._write_block, top, left, min(top + TILE_PX, rows), min(left + BLOCK_PX, width)
                )
                for top in range(self._done, rows, TILE_PX)
                for left in range(0, width, BLOCK_PX)
            ]
            for block in blocks:
                await_result(block, "blending", math.inf)
        self._done = rows
        release_memory()

    def _write_block(self, top: int, left: int, bottom: int, right: int) -> None:
        mean = self._average(0, top, left, bottom, right)
        if not mean.any():
            return
        for exclude in self.excludes:
            excluded = exclude(left, top, right - left, bottom - top)
            if excluded is not None:
                mean[excluded] = 0
        self.probability.write(top, left, mean)
        if self.core is not None:
            self.core.write(top, left, self._average(CORE_PLANES, top, left, bottom, right))
        for column in range(left // TILE_PX, -(-right // TILE_PX)):
            unstained = self.store.get(Key(UNSTAINED, top // TILE_PX, column))
            if unstained is not None:
                within = unstained[: bottom - top, : right - column * TILE_PX]
                self.unstained.write(top, column * TILE_PX, within)

    def _average(self, first: int, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Average the scales' windows over a rectangle; `first` is added to the planes of their keys."""
        gets = [self.store.get_from(first + index) for index in range(len(self.planes))]
        return average_scales(self.planes, gets, top, left, bottom, right)
