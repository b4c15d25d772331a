"""A slide resampled to a model's um/px."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.slides.fallback import Failed, FallbackReader
from glandseg.slides.mpp import describe_lack
from glandseg.slides.plane import TiledPlane
from glandseg.slides.resampling import resample
from glandseg.slides.rgb import WHITE
from glandseg.slides.slide import CACHE_BYTES, Slide, UnreadableError
from glandseg.slides.unread import UnreadRegions

LARGEST_TILE_PX = 512
LARGEST_SOURCE_PX = 2048  # side of a tile's source, which bounds memory at strong shrinking
LEVEL_TOLERANCE = 1.01  # a level up to 1 % too coarse is still used
ROUNDING = 0.01  # px beyond a whole size that are a rounded tag's error and start no further px


class SlidePlane(TiledPlane):
    """A slide at any um/px, each tile resampled from the coarsest level that is fine enough.

    Attributes:
        fill_rgb: Color of unread regions.
    """

    def __init__(
        self,
        slide: Slide,
        um_per_px: float,
        cache_bytes: int = CACHE_BYTES,
        unread_regions: UnreadRegions | None = None,
        fill_rgb: tuple[int, int, int] = WHITE,
    ) -> None:
        """Lay a plane over an open slide.

        Args:
            slide: Slide, open.
            um_per_px: um/px of the plane.
            cache_bytes: Memory for tiles of the grid.
            unread_regions: Record of parts that cannot be decoded; without one, reading them fails.
            fill_rgb: Color of unread regions, such as the slide's background.

        Raises:
            ValueError: `um_per_px` is not above 0.
            BadInputError: The slide's own um/px is unknown.
        """
        if not (um_per_px > 0 and math.isfinite(um_per_px)):
            raise ValueError(f"um_per_px: above 0. Received: {um_per_px}.")
        if slide.resolution is None:
            raise BadInputError(describe_lack(slide.path, slide.statements))
        self.um_per_px = um_per_px
        self.l0_per_px = um_per_px / slide.resolution.um_per_px
        self.width_px = max(math.ceil(slide.width_l0 / self.l0_per_px - ROUNDING), 1)
        self.height_px = max(math.ceil(slide.height_l0 / self.l0_per_px - ROUNDING), 1)
        self.fill_rgb = fill_rgb
        self._slide = slide
        self._unread_regions = unread_regions
        self._failed: Failed = {}
        self._damaged: set[tuple[int, int]] = set()  # tiles
        self._level = choose_level(slide, self.l0_per_px)
        self._factor = self.l0_per_px / slide.levels[self._level].downsample
        super().__init__(choose_tile_px(self._factor), cache_bytes)

    def _make_tile(self, column: int, row: int) -> NDArray[np.uint8]:
        place = (self._level, self._factor, *self._place_tile(column, row))
        if (column, row) not in self._damaged:
            try:
                return resample(self._slide, *place)
            except UnreadableError:
                if self._unread_regions is None:
                    raise
        self._damaged.add((column, row))
        reader = FallbackReader(
            self._slide, self._unread_regions or UnreadRegions(), self.fill_rgb, self._failed
        )
        return resample(reader, *place)


def choose_level(slide: Slide, l0_per_px: float) -> int:
    """Return the coarsest level that is fine enough; full resolution if none is."""
    fine = [i for i, level in enumerate(slide.levels) if level.downsample <= l0_per_px * LEVEL_TOLERANCE]
    return max(fine, key=lambda i: slide.levels[i].downsample, default=0)


def choose_tile_px(factor: float) -> int:
    """Return the grid's step: a power of two, smaller where many level px make one."""
    fitting = max(LARGEST_SOURCE_PX / factor, 1)
    return min(LARGEST_TILE_PX, 1 << math.floor(math.log2(fitting)))
