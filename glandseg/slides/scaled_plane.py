"""A plane at another scale: the papers' scales, which enlarge the model's view without adding detail."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glandseg.slides.plane import TiledPlane
from glandseg.slides.resampling import resample
from glandseg.slides.slide import CACHE_BYTES, Level
from glandseg.slides.slide_plane import LARGEST_TILE_PX, ROUNDING


class RescaledPlane(TiledPlane):
    """A plane resampled from another plane, so that the slide is read once for all scales.

    Args:
        base: Plane at scale 1.
        scale: Px of this plane per px of the base, above 0.
        cache_bytes: Memory for tiles.
    """

    def __init__(self, base: TiledPlane, scale: float, cache_bytes: int = CACHE_BYTES) -> None:
        super().__init__(LARGEST_TILE_PX, cache_bytes)
        self.um_per_px, self.l0_per_px = base.um_per_px / scale, base.l0_per_px / scale
        self.width_px = max(math.ceil(base.width_px * scale - ROUNDING), 1)
        self.height_px = max(math.ceil(base.height_px * scale - ROUNDING), 1)
        self._factor = 1 / scale
        self._source = _PlaneLevel(base)

    def _make_tile(self, column: int, row: int) -> NDArray[np.uint8]:
        return resample(self._source, 0, self._factor, *self._place_tile(column, row))


def lay_scale(base: TiledPlane, scale: float, cache_bytes: int = CACHE_BYTES) -> TiledPlane:
    """Return a plane at another scale; at scale 1 the plane itself."""
    return base if scale == 1 else RescaledPlane(base, scale, cache_bytes)


class _PlaneLevel:
    """A plane as a source of one level."""

    def __init__(self, plane: TiledPlane) -> None:
        self.levels: tuple[Level, ...] = (Level(plane.width_px, plane.height_px, 1.0),)
        self._plane = plane

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return self._plane.read(x, y, width, height)
