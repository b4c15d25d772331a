"""Regions of unknown classes that lie on larger known ones, and would get the wrong label.

Where regions overlap, the smaller one wins. A skipped region on a larger one, such as a dysplastic gland of a
class of its own in a field of stroma, would be labelled as the larger one: it is an error. A skipped region
around others, such as a whole piece of tissue, is harmless.
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

MIN_SHARE = 0.01  # of a skipped region's area that must lie on another; neighbours overlap by less


def refuse_hidden(
    path: Path, passed: Sequence[Annotation], counted: Sequence[Annotation], polygons: Sequence[BaseGeometry]
) -> None:
    """Raise if a skipped region lies on a larger region in use; single cells are not regions.

    Args:
        path: GeoJSON file, for the message.
        passed: Annotations of other classes.
        counted: Annotations in use.
        polygons: Valid areas of the annotations in use, in the same order.

    Raises:
        BadInputError: If there is such a region.
    """
    areas = [(each, area) for each in passed if (area := _measure(path, each)) is not None]
    if not areas:
        return
    shapes = np.array([area for _, area in areas], object)
    whole = np.array(polygons, object)
    sizes, minimum = shapely.area(whole), MIN_SHARE * shapely.area(shapes)
    for index, other in shapely.STRtree(shapes).query(whole, predicate="intersects").T.tolist():
        if (
            shapes[other].area < sizes[index]
            and shapes[other].intersection(whole[index]).area > minimum[other]
        ):
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
