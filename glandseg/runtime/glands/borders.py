"""Where glands are cut: at the slide's edge, at regions of interest, at parts that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

NEAR_PX = 2.0  # of a cut contour, which follows px


class Borders:
    """Lines at which glands are cut.

    Args:
        areas_px: Areas whose boundaries they are, in map px.
    """

    def __init__(self, areas_px: Iterable[BaseGeometry]) -> None:
        lines = [line for area in areas_px for line in shapely.get_parts(shapely.boundary(area))]
        self._tree = shapely.STRtree(np.array(lines, object))

    def touch(self, polygon_px: BaseGeometry) -> bool:
        """Return whether a gland reaches a border, so that part of it may be missing."""
        return bool(len(self._tree.query(polygon_px, predicate="dwithin", distance=NEAR_PX)))
