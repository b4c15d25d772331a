"""The tiles of an open slide, made when they are asked for: levels that halve, from full resolution on."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from glandseg.runtime.outputs.report.images import encode_jpeg
from glandseg.runtime.outputs.report.tiles import TILE_PX, count_levels, describe_levels
from glandseg.slides.slide import Slide
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

CACHE_BYTES = 32 << 20  # for each level
KEPT_TILES = 2000  # encoded, some 20 kB each


class SlideTiles:
    """Tiles of a slide as JPEG; parts that cannot be read are white. Safe for threads.

    Args:
        slide: Slide, open; its um/px is known.
        um_per_px: Size of the slide's px.

    Attributes:
        levels: Number of levels; level 0 is full resolution, the last fits into one tile.
    """

    def __init__(self, slide: Slide, um_per_px: float) -> None:
        self._um_per_px, self._size_wh = um_per_px, (slide.width_l0, slide.height_l0)
        self.levels = count_levels(self._size_wh)
        unread = UnreadRegions()
        self._planes = [
            SlidePlane(slide, um_per_px * 2**level, CACHE_BYTES, unread) for level in range(self.levels)
        ]
        self.read = lru_cache(KEPT_TILES)(self._read)

    def describe(self) -> dict[str, Any]:
        """Return how the tiles are laid, as the page wants it."""
        return describe_levels(self._um_per_px, self._size_wh)

    def _read(self, level: int, column: int, row: int) -> bytes | None:
        """Return a tile as JPEG; None where there is none."""
        if not 0 <= level < self.levels:
            return None
        plane, x, y = self._planes[level], column * TILE_PX, row * TILE_PX
        if not (0 <= x < plane.width_px and 0 <= y < plane.height_px):
            return None
        return encode_jpeg(
            plane.read(x, y, min(TILE_PX, plane.width_px - x), min(TILE_PX, plane.height_px - y))
        )
