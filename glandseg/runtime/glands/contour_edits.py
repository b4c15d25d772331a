"""Edits of a traced contour: small holes closed, vertices dropped, overhang beyond the slide clipped."""

from __future__ import annotations

import shapely
from shapely import Polygon


def close_holes(contour: Polygon, min_px2: float) -> tuple[Polygon, list[Polygon]]:
    """Return the contour with only its holes of at least `min_px2`, and the holes that were filled."""
    holes = [Polygon(ring) for ring in contour.interiors]
    kept = [hole.exterior for hole in holes if hole.area >= min_px2]
    return Polygon(contour.exterior, kept), [hole for hole in holes if hole.area < min_px2]


def simplify_contour(polygon: Polygon, tolerance_px: float) -> Polygon:
    """Return a polygon of fewer vertices within `tolerance_px` of the contour; a valid one stays valid."""
    if tolerance_px == 0:
        return polygon
    for keeps_topology in (False, True):  # the first is ten times faster, and hardly ever fails
        simpler = shapely.simplify(polygon, tolerance_px, preserve_topology=keeps_topology)
        if isinstance(simpler, Polygon) and simpler.is_valid and not simpler.is_empty:
            return simpler
    return polygon


def clip_contour(polygon: Polygon, extent_px: tuple[float, float]) -> list[Polygon]:
    """Return the parts of a contour within a width and height, usually the contour itself."""
    if polygon.bounds[2] <= extent_px[0] and polygon.bounds[3] <= extent_px[1]:
        return [polygon]
    clipped = shapely.make_valid(polygon).intersection(shapely.box(0, 0, *extent_px))
    parts = [part for part in shapely.get_parts(clipped) if isinstance(part, Polygon)]
    return [shapely.normalize(part) for part in parts]
