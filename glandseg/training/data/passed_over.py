"""Regions of classes that are not cut, and when they may not be passed over.

The smaller of two regions counts where they overlap. A region that is not cut and lies on a larger one that
is, such as a dysplastic gland under a class of its own in a field of stroma, would get the larger one's
label, which is wrong: it is refused. One that surrounds others, such as a whole piece of tissue, is harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from glandseg.core.errors import BadInputError
from glandseg.runtime.annotations.annotation import Annotation
from glandseg.runtime.annotations.geometry import GeometryError, mend_polygons

LEAST_SHARE = 0.01  # of a region passed over that must lie on another; neighbours overlap by less


def refuse_hidden(
    path: Path, passed: Sequence[Annotation], counted: Sequence[Annotation], polygons: Sequence[BaseGeometry]
) -> None:
    """Refuse a region that is passed over where it lies on a larger one that counts.

    Single cells are no regions and are not looked at.

    Args:
        path: GeoJSON file, for the message.
        passed: Annotations of other classes.
        counted: Annotations that count.
        polygons: Valid areas of those that count, in the same order.

    Raises:
        BadInputError: There is such a region.
    """
    areas = [(each, area) for each in passed if (area := _measure(path, each)) is not None]
    if not areas:
        return
    shapes = np.array([area for _, area in areas], object)
    whole = np.array(polygons, object)
    sizes, least = shapely.area(whole), LEAST_SHARE * shapely.area(shapes)
    for index, other in shapely.STRtree(shapes).query(whole, predicate="intersects").T.tolist():
        if shapes[other].area < sizes[index] and shapes[other].intersection(whole[index]).area > least[other]:
            hidden, below = areas[other][0], counted[index]
            raise BadInputError(
                f"{path}: feature {hidden.number} (class {hidden.label}) lies on feature {below.number} "
                f"({below.label}) and would be cut as such. Classify it Gland, Non-gland or Ignore*, or "
                "delete it, and export again."
            )


def _measure(path: Path, annotation: Annotation) -> BaseGeometry | None:
    """Return the valid area of a region; None for cells, points and lines."""
    geometry = annotation.geometry
    if annotation.is_cell or geometry is None or not geometry.polygons:
        return None
    try:
        parts = mend_polygons(geometry.polygons)
    except GeometryError as error:
        raise BadInputError(
            f"{path}: feature {annotation.number} (class {annotation.label}): its outlines {error}. "
            "Draw it again without crossings, or delete it."
        ) from None
    return shapely.union_all(parts) if parts else None
