"""Base scales everywhere, extra scales only where the base scales are uncertain.

Averaging the papers' eight scales costs 27.7 times one scale, and changes little where two of them already
agree: in stroma, mucus and the middle of glands. An extra window runs only where enough px of the base
scales' mean are near 0.5; the share grows with the scale, as an enlarged window costs the same and covers
less. The choice needs the base scales' answers, so a barrier stands between the two in each swath. It depends
on px alone, never on the order of windows, so that swaths, batches and interruptions change no byte.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.maps.tile_map import TILE_PX
from glandseg.runtime.tiling.map_writer import BLOCK_PX
from glandseg.runtime.tiling.order import Step, find_final, list_windows
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import Key, WindowStore

CELL_PX = 32  # px of the base plane to a cell in which uncertain px are counted
UNCERTAIN = (64, 191)  # p(gland) of 255 between which the base scales are uncertain
MIN_UNCERTAIN = 0.3  # share of a window's px, times its scale, that must be uncertain for it to run


@dataclass(kw_only=True)
class AdaptiveOrder:
    """The order of windows where the extra scales depend on what the base scales say.

    Attributes:
        planes: Planes of all scales, the base scales first.
        base_scales: Number of base scales.
        always: Other planes whose windows run everywhere; their keys count on after `planes`.
        store: Finished windows.
        height_px: Height of the base plane.
        width_px: Width of the base plane.
        swath_px: Rows of the base plane to a swath.
    """

    planes: Sequence[ScalePlane]
    base_scales: int
    always: Sequence[ScalePlane] = ()
    store: WindowStore
    height_px: int
    width_px: int
    swath_px: int
    _counted: int = field(default=0)  # rows whose uncertain px are counted
    _chosen: int = field(default=0)  # rows above which all extra windows that start there are chosen

    def __iter__(self) -> Iterator[Step]:
        """Return the windows of the base scales in a swath, then the extra ones that these call for."""
        everywhere = [*self.planes[: self.base_scales], *self.always]
        extra_scales = len(self.planes) - self.base_scales
        final_px = 0
        for top in range(0, self.height_px, self.swath_px):
            last = top + self.swath_px >= self.height_px
            keys = list_windows(everywhere, top, top + self.swath_px)
            windows = [
                key._replace(plane=key.plane + extra_scales * (key.plane >= self.base_scales)) for key in keys
            ]
            yield Step(windows=windows, final_px=final_px, is_barrier=True)
            known = self.height_px if last else find_final(everywhere, top + self.swath_px)
            self._count_rows(known)
            extra = self._choose_extra(known, last)
            final_px = self.height_px if last else min(known, find_final(self.planes, self._chosen))
            yield Step(windows=extra, final_px=final_px)

    @cached_property
    def _uncertain(self) -> NDArray[np.uint16]:
        """The number of uncertain px in each cell."""
        return np.zeros((-(-self.height_px // CELL_PX), -(-self.width_px // CELL_PX)), np.uint16)

    def _count_rows(self, bottom: int) -> None:
        base = self.planes[: self.base_scales]
        gets = [self.store.get_from(index) for index in range(self.base_scales)]
        for top in range(self._counted, bottom, TILE_PX):
            end = min(top + TILE_PX, bottom)
            for left in range(0, self.width_px, BLOCK_PX):
                right = min(left + BLOCK_PX, self.width_px)
                cells = np.s_[top // CELL_PX : -(-end // CELL_PX), left // CELL_PX : -(-right // CELL_PX)]
                self._uncertain[cells] = count_uncertain(average_scales(base, gets, top, left, end, right))
        self._counted = bottom

    def _choose_extra(self, known: int, last: bool) -> list[Key]:
        """Choose among the extra windows that end above row `known` and were not looked at before."""
        reach = max(WINDOW_PX / item.scale for item in self.planes)
        bottom = self.height_px if last else max(known - math.ceil(reach), self._chosen)
        keys = list_windows(self.planes, self._chosen, bottom)
        self._chosen = bottom
        return [key for key in keys if key.plane >= self.base_scales and self._is_uncertain(key)]

    def _is_uncertain(self, key: Key) -> bool:
        item = self.planes[key.plane]
        y, x = item.grid.rows[key.row] / item.scale, item.grid.columns[key.column] / item.scale
        side = WINDOW_PX / item.scale
        cells = self._uncertain[
            max(int(y) // CELL_PX, 0) : math.ceil((y + side) / CELL_PX),
            max(int(x) // CELL_PX, 0) : math.ceil((x + side) / CELL_PX),
        ]
        return bool(cells.sum() >= MIN_UNCERTAIN * item.scale * side * side)


def count_uncertain(probability: NDArray[np.uint8]) -> NDArray[np.uint16]:
    """Count the uncertain px in each 32 x 32 cell of a block, (rows, columns) uint8 of p(gland)."""
    uncertain = (probability >= UNCERTAIN[0]) & (probability <= UNCERTAIN[1])
    height, width = uncertain.shape
    padded = np.pad(uncertain, ((0, -height % CELL_PX), (0, -width % CELL_PX)))
    cells = padded.reshape(padded.shape[0] // CELL_PX, CELL_PX, padded.shape[1] // CELL_PX, CELL_PX)
    return np.asarray(cells.sum(axis=(1, 3)), np.uint16)
