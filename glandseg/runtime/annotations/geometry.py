"""GeoJSON geometries as polygons: rings closed, coordinates checked, up to MAX_CROSSINGS mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.core.errors import show

KINDS = ("Point", "MultiPoint", "LineString", "MultiLineString", "Polygon", "MultiPolygon")
MAX_COORDINATE = 1e9  # no slide is so large, and areas of such coordinates are still finite
MAX_CROSSINGS = 10_000  # in a file; mending 100,000 takes 10 s, and scribbles have millions
FIRST_CHUNK = 32  # edges whose crossings are counted first; later chunks double


class GeometryError(ValueError):
    """A geometry that cannot be used; the message continues a sentence on its outline."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Geometry:
    """One GeoJSON geometry.

    Attributes:
        kind: GeoJSON type, such as "Polygon".
        polygons: As drawn, in the coordinates of the file; they may cross themselves. Empty for points and
            lines.
        fault: Why the coordinates cannot be used; None if they can.
        plane: z and t index of the image plane it was drawn on.
    """

    kind: str
    polygons: tuple[shapely.Polygon, ...] = ()
    fault: str | None = None
    plane: tuple[int, int] = (0, 0)


def parse_geometry(item: Mapping[str, Any]) -> Geometry:
    """Return the geometry of a GeoJSON object that has coordinates; faults are recorded, not raised."""
    kind, plane = show(str(item.get("type"))), _read_plane(item.get("plane"))
    try:
        return Geometry(kind=kind, polygons=_build_polygons(kind, item["coordinates"]), plane=plane)
    except GeometryError as error:
        return Geometry(kind=kind, fault=str(error), plane=plane)
    except (ValueError, TypeError, KeyError, IndexError, OverflowError, shapely.errors.ShapelyError):
        return Geometry(kind=kind, fault="has coordinates that make no polygon", plane=plane)


def mend_polygons(polygons: Sequence[shapely.Polygon]) -> list[shapely.Polygon]:
    """Return valid polygons of positive area; areas that a crossing outline encloses twice are kept.

    Raises:
        GeometryError: The outlines cross themselves more than MAX_CROSSINGS times.
    """
    array = np.array(polygons, object)
    valid = np.asarray(shapely.is_valid(array), np.bool_)
    crossings = 0
    for index in np.flatnonzero(~valid):
        crossings += count_crossings(array[index], MAX_CROSSINGS - crossings)
        if crossings > MAX_CROSSINGS:
            raise GeometryError(f"cross themselves more than {MAX_CROSSINGS:,} times")
    array[~valid] = shapely.make_valid(array[~valid], method="structure")
    parts = shapely.get_parts(array)
    solid = (shapely.get_type_id(parts) == shapely.GeometryType.POLYGON) & (shapely.area(parts) > 0)
    return list(parts[solid])


def count_crossings(polygon: shapely.Polygon, limit: int) -> int:
    """Return the number of pairs of edges that meet and are not neighbours; stop beyond `limit`."""
    edges = list_edges(np.array([shapely.remove_repeated_points(polygon)], object))
    lines = np.asarray(shapely.linestrings(edges.reshape(-1, 2, 2)), object)
    tree, found, start, step = shapely.STRtree(lines), 0, 0, FIRST_CHUNK
    while start < len(lines) and found <= limit:
        first, second = tree.query(lines[start : start + step], predicate="intersects")
        found += int(np.count_nonzero(second > first + start + 1))
        start, step = start + step, step * 2 if len(first) < 4 * step else step
    return found


def list_edges(polygons: NDArray[np.object_]) -> NDArray[np.float64]:
    """Return the edges of all rings of polygons, (N, 4) float64: x and y of the start, x and y of the end."""
    rings = shapely.get_rings(polygons)
    xy, ring = shapely.get_coordinates(rings, return_index=True)
    same = ring[1:] == ring[:-1]
    return np.hstack([xy[:-1][same], xy[1:][same]])


def _build_polygons(kind: str, coordinates: Any) -> tuple[shapely.Polygon, ...]:
    if kind == "Polygon":
        return () if coordinates == [] else (_build_polygon(coordinates),)
    if kind == "MultiPolygon":
        return tuple(_build_polygon(rings) for rings in coordinates if rings != [])
    return ()


def _build_polygon(rings: Any) -> shapely.Polygon:
    shell, *holes = [_build_ring(ring) for ring in rings]
    return shapely.Polygon(shell, holes) if holes else shapely.Polygon(shell)


def _build_ring(points: Any) -> NDArray[np.float64]:
    """Return the (N, 2) float64 x and y of a ring, closed; a third coordinate is dropped."""
    xy = np.asarray([point[:2] for point in points])
    if xy.ndim != 2 or xy.shape[1] != 2 or xy.dtype.kind not in "iuf":
        raise GeometryError("has coordinates that make no polygon")
    xy = xy.astype(np.float64)
    if not np.isfinite(xy).all():
        raise GeometryError("has coordinates that are not numbers")
    if np.abs(xy).max() > MAX_COORDINATE:
        raise GeometryError(f"has coordinates beyond {MAX_COORDINATE:g} px")
    if not np.array_equal(xy[0], xy[-1]):
        xy = np.vstack([xy, xy[:1]])
    if len(xy) < 4:
        raise GeometryError("has fewer than three corners, so no area")
    return xy


def _read_plane(plane: Any) -> tuple[int, int]:
    known = plane if isinstance(plane, Mapping) else {}
    z, t = (value if isinstance(value := known.get(axis), int) else 0 for axis in ("z", "t"))
    return z, t
