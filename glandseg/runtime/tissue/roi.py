"""Regions of interest, annotated in QuPath: what lies outside is left out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.maps.rasterize import draw_union
from glandseg.runtime.tissue.tissue_mask import TissueMask

FEW = 64  # polygons that are compared with a rectangle first
BAND_PX = 1 << 22  # px drawn together to measure tissue
MAX_FINER = 8  # maximum refinement of tissue mask px for that
MEASURED_PX = 1 << 25  # maximum px drawn to measure a region, before MAX_FINER


class Roi:
    """Regions of interest, in level-0 px of the same frame as the glands.

    Args:
        polygons_l0: Valid polygons, any number; holes are outside.
        um_per_l0: Size of the slide's px.
        ignored_l0: Valid polygons that are outside too, wherever they lie.
        notes: Warnings about the file; no names from it.
    """

    def __init__(
        self,
        polygons_l0: Sequence[shapely.Polygon],
        um_per_l0: float,
        ignored_l0: Sequence[shapely.Polygon] = (),
        notes: tuple[str, ...] = (),
    ) -> None:
        self._um_per_l0 = um_per_l0
        self._polygons, self._ignored = np.array(polygons_l0, object), np.array(ignored_l0, object)
        self._tree, self._ignored_tree = (shapely.STRtree(part) for part in (self._polygons, self._ignored))
        shapely.prepare(self._polygons)
        self.notes = notes

    def touches(self, x_um: float, y_um: float, width_um: float, height_um: float) -> bool:
        """Return whether a rectangle, counted from the slide's corner, meets any polygon."""
        left, top, right, bottom = (
            side / self._um_per_l0 for side in (x_um, y_um, x_um + width_um, y_um + height_um)
        )
        box = shapely.box(left, top, right, bottom)
        near = self._polygons[self._tree.query(box)]
        return bool(shapely.intersects(near[:FEW], box).any() or shapely.intersects(near[FEW:], box).any())

    def mask(
        self, x_px: int, y_px: int, width_px: int, height_px: int, l0_per_px: float
    ) -> NDArray[np.bool_]:
        """Mark px of a plane's rectangle whose centre is in a polygon, and in none that is ignored.

        Args:
            x_px: Left edge, in px of the plane like the others.
            y_px: Top edge.
            width_px: Width.
            height_px: Height.
            l0_per_px: Level-0 px per px of the plane.

        Returns:
            (height_px, width_px) bool.
        """
        window = (x_px, y_px, width_px, height_px)
        box = shapely.box(*(np.array([x_px, y_px, x_px + width_px, y_px + height_px]) * l0_per_px))
        inside, ignored = (
            draw_union(shapely.transform(polygons[tree.query(box)], lambda xy: xy / l0_per_px), *window)
            for polygons, tree in ((self._polygons, self._tree), (self._ignored, self._ignored_tree))
        )
        return np.asarray(inside & ~ignored, np.bool_)

    def exclude(
        self, x_px: int, y_px: int, width_px: int, height_px: int, l0_per_px: float
    ) -> NDArray[np.bool_] | None:
        """Mark the px that lie outside, as `mask` marks those inside; None if none does."""
        outside = ~self.mask(x_px, y_px, width_px, height_px, l0_per_px)
        return outside if outside.any() else None

    @property
    def areas_l0(self) -> list[shapely.Polygon]:
        """The polygons, and those that are ignored."""
        return [*self._polygons, *self._ignored]

    def restrict(self, tissue: TissueMask) -> tuple[TissueMask, float]:
        """Return the px of a tissue mask that the regions touch, and the area of tissue in them, in mm2."""
        l0_per_px = tissue.um_per_px / self._um_per_l0
        bounds = np.array(shapely.total_bounds(self._polygons)) / l0_per_px
        size = np.array(tissue.mask.shape[::-1])
        left, top = (int(v) for v in np.clip(np.floor(bounds[:2]), 0, size))
        right, bottom = (int(v) for v in np.clip(np.ceil(bounds[2:]), 0, size))
        share = np.zeros(tissue.mask.shape, np.float32)
        share[top:bottom, left:right] = self._measure_shares(left, top, right, bottom, l0_per_px)
        area_mm2 = float(share[tissue.mask].sum(dtype=np.float64)) * tissue.um_per_px**2 / 1e6
        return TissueMask(tissue.mask & (share > 0), tissue.um_per_px), area_mm2

    def _measure_shares(
        self, left: int, top: int, right: int, bottom: int, l0_per_px: float
    ) -> NDArray[np.float32]:
        """Compute the share of each px of a window in the regions, (height, width) float32 in 0..1."""
        width, height = right - left, bottom - top
        finer = int(np.clip(math.isqrt(MEASURED_PX // max(width * height, 1)), 1, MAX_FINER))
        shares = np.empty((height, width), np.float32)
        rows = max(BAND_PX // max(width * finer**2, 1), 1)
        for row in range(0, height, rows):
            count = min(rows, height - row)
            corner, size = (left * finer, (top + row) * finer), (width * finer, count * finer)
            inside = self.mask(*corner, *size, l0_per_px / finer)
            shares[row : row + count] = inside.reshape(count, finer, width, finer).mean((1, 3))
        return shares
