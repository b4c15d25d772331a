"""Glands traced from a probability map as its rows become final: sub-pixel contours with lumina.

An object is a 4-connected component of pixels at or above the threshold. Its contour is the level line half
a grey step below, so a pixel's centre lies inside the contour exactly when the pixel is in the mask:
contours, mask and table count the same glands. Four-connected objects never overlap once traced, and each is
one polygon; of eight-connected ones, the level line would decide at every corner whether they are one or two.

A gland in a hole that is filled is part of the outer gland, yet complete and stored before the outer one is.
So filled holes are stored too, and the glands in them are dropped at the end.

Memory: the map is labelled in bands of rows, an object is traced in strips as soon as its last row is
known, and stored on disk; neither the map's height nor an object's box counts. What stays is one band, the
contour at hand, and about 60 bytes a gland.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from shapely import Polygon

from glandseg.core.errors import BadInputError
from glandseg.runtime.glands.components import BAND_PX, Component, ComponentFinder
from glandseg.runtime.glands.contour import trace_contour
from glandseg.runtime.glands.contour_edits import clip_contour, close_holes, simplify_contour
from glandseg.runtime.glands.cut import THRESHOLD, find_cut
from glandseg.runtime.glands.store import Glands, GlandStore
from glandseg.runtime.maps.rasterize import STRIP_PX, draw_strips
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.settings import InferSettings

_TOLERANCE_PX = 0.1  # of a slide's contours: a quarter of the vertices, and no gland's area changes by 1 %
_MIN_CONTOUR_PX2 = 0.25  # fainter specks enclose next to nothing


class GlandTracer:
    """Traces glands while the rest of the map is still being computed.

    The same maps give the same glands, whatever the calls of `advance` and the sizes of bands and strips.
    One thread at a time may use it; the maps may be written by others meanwhile.

    Args:
        probability: (H, W), 0..255 for p(gland) 0..1.
        unstained: (H, W), above 0 where pixels look like background or clear lumen.
        scratch: Existing folder, where the glands are stored.
        um_per_px: Micrometres per map pixel.
        min_gland_um2: Glands of a smaller area (lumina not counted) are dropped.
        min_lumen_um2: Smaller holes are filled; a gland inside one becomes part of the outer gland.
        threshold: Probability threshold, above 0 and up to 1.
        tolerance_px: Maximum distance by which contours are simplified; 0 keeps every vertex.
        extent_px: Width and height of the slide in map pixels, at which contours end: the map's last pixels
            may lie partly outside. The map's size by default.
        band_px: Maximum pixels labelled together, unless a row has more.
        strip_px: Maximum pixels contoured or drawn together, unless a band has more.

    Raises:
        BadInputError: The threshold or the pixel size is out of range.
        ValueError: The maps do not match.
    """

    def __init__(
        self,
        probability: TileMap,
        unstained: TileMap,
        scratch: Path,
        *,
        um_per_px: float,
        min_gland_um2: float,
        min_lumen_um2: float,
        threshold: float = THRESHOLD,
        tolerance_px: float = 0.0,
        extent_px: tuple[float, float] | None = None,
        band_px: int = BAND_PX,
        strip_px: int = STRIP_PX,
    ) -> None:
        if unstained.shape != probability.shape:
            raise ValueError(
                f"unstained: must be {probability.shape} like probability. Received: {unstained.shape}"
            )
        if not (um_per_px > 0 and math.isfinite(um_per_px)):
            raise BadInputError(f"um_per_px: must be a number above 0. Received: {um_per_px}")
        self._probability, self._unstained, self._cut = probability, unstained, find_cut(threshold)
        self._min_px2 = max(min_gland_um2 / um_per_px**2, _MIN_CONTOUR_PX2)
        self._tolerance_px, self._strip_px = tolerance_px, strip_px
        self._extent_px = extent_px or probability.shape[::-1]
        self._min_hole_px2 = min_lumen_um2 / um_per_px**2
        self._finder = ComponentFinder(probability, self._cut, self._min_px2, band_px)
        self._store = GlandStore(scratch / "glands.store")

    def advance(self, rows: int) -> None:
        """Trace what is complete, now that the first `rows` rows of both maps are final."""
        for component in self._finder.advance(rows):
            self._trace(component)

    def finish(self) -> Glands:
        """Trace the rest, all rows being final, and number the glands; they can be read until `close`."""
        self.advance(self._probability.shape[0])
        return self._store.finish()

    def close(self) -> None:
        """Close the file of glands, which stays; may be called repeatedly."""
        self._store.close()

    def __enter__(self) -> GlandTracer:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file of glands."""
        self.close()

    def _trace(self, component: Component) -> None:
        contour = trace_contour(
            self._probability, component, self._cut, self._finder.band_rows, self._strip_px
        )
        polygon, filled = close_holes(contour, self._min_hole_px2)
        if polygon.area < self._min_px2:
            return
        polygon = simplify_contour(polygon, self._tolerance_px)
        seed_yx = divmod(int(component.seeds[0]), self._probability.shape[1])
        shares = self._measure_shares(polygon)
        for part in clip_contour(polygon, self._extent_px):
            if part is polygon or part.area >= self._min_px2:
                self._store.add(_find_corner(part, component), seed_yx, part, shares)
        for hole in filled:
            if hole.area >= self._min_px2:  # it can hold a gland
                self._store.add_filling(hole)

    def _measure_shares(self, polygon: Polygon) -> tuple[float, float]:
        """Return the mean p(gland) of a gland's pixels, and its share of unstained pixels and holes."""
        grey = pixels = stained = whole = 0
        shell = Polygon(polygon.exterior) if polygon.interiors else polygon
        strips = zip(*(draw_strips(drawn, self._strip_px) for drawn in (polygon, shell)), strict=True)
        for (top, left, body), (_, _, filled) in strips:
            window = (top, left, top + body.shape[0], left + body.shape[1])
            grey += int(np.sum(self._probability.read(*window), where=body, dtype=np.int64))
            pixels += np.count_nonzero(body)
            stained += np.count_nonzero(body & (self._unstained.read(*window) == 0))
            whole += np.count_nonzero(filled)
        return grey / pixels / 255, 1 - stained / whole


def open_tracer(
    probability: TileMap,
    unstained: TileMap,
    scratch: Path,
    settings: InferSettings,
    *,
    um_per_px: float,
    extent_px: tuple[float, float],
) -> GlandTracer:
    """Return the tracer of an inference: a slide's and an evaluation's; the arguments are `GlandTracer`'s."""
    return GlandTracer(
        probability,
        unstained,
        scratch,
        um_per_px=um_per_px,
        min_gland_um2=settings.min_gland_um2,
        min_lumen_um2=settings.min_lumen_um2,
        threshold=settings.threshold,
        tolerance_px=_TOLERANCE_PX,
        extent_px=extent_px,
    )


def _find_corner(contour: Polygon, component: Component) -> tuple[int, int]:
    """Return the top and left of a component's part, which are the component's where it is all of it."""
    left, top = (math.floor(side) for side in contour.bounds[:2])
    return max(top, component.box[0]), max(left, component.box[1])
