"""Regions of interest, drawn in QuPath and read from GeoJSON: what lies outside is left out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.runtime.outlines.raster import draw_window
from glandseg.runtime.regular_file import check_regular_file
from glandseg.runtime.slides.reader import Slide

CURE = "Draw polygons in QuPath on this slide and export them as GeoJSON"


class Roi:
    """Polygons in level-0 px of the frame that our outlines count in too.

    Args:
        polygons_l0: any number; holes are outside.
        um_per_l0: of the slide.
    """

    def __init__(self, polygons_l0: list[shapely.Polygon], um_per_l0: float) -> None:
        self._polygons = np.array(polygons_l0, object)
        self._um_per_l0 = um_per_l0
        self._tree = shapely.STRtree(polygons_l0)

    @property
    def area_mm2(self) -> float:
        """The area that the polygons cover together."""
        return float(shapely.union_all(self._polygons).area) * self._um_per_l0**2 / 1e6

    def touches(self, x_um: float, y_um: float, width_um: float, height_um: float) -> bool:
        """Whether a rectangle, counted from the slide's corner, meets any polygon."""
        left, top, right, bottom = (
            side / self._um_per_l0 for side in (x_um, y_um, x_um + width_um, y_um + height_um)
        )
        return len(self._tree.query(shapely.box(left, top, right, bottom), predicate="intersects")) > 0

    def mask(
        self, x_px: int, y_px: int, width_px: int, height_px: int, l0_per_px: float
    ) -> NDArray[np.bool_]:
        """Which px of a plane's rectangle have their centre in a polygon.

        Args:
            x_px: left edge; likewise the others.
            y_px: top edge.
            width_px: width.
            height_px: height.
            l0_per_px: level-0 px per px of the plane.

        Returns:
            (height_px, width_px) bool.
        """
        inside = np.zeros((height_px, width_px), np.bool_)
        sides = np.array([x_px, y_px, x_px + width_px, y_px + height_px]) * l0_per_px
        for polygon in self._polygons[np.sort(self._tree.query(shapely.box(*sides)))]:
            outline_px = shapely.transform(polygon, lambda xy: xy / l0_per_px)
            inside |= draw_window(outline_px, x_px, y_px, width_px, height_px)
        return inside

    def exclude(
        self, x_px: int, y_px: int, width_px: int, height_px: int, l0_per_px: float
    ) -> NDArray[np.bool_] | None:
        """As `mask`, but which px lie outside; None if none does."""
        outside = ~self.mask(x_px, y_px, width_px, height_px, l0_per_px)
        return outside if outside.any() else None


def read_roi(path: Path, slide: Slide) -> Roi:
    """Read Polygons and MultiPolygons from GeoJSON: geometries, Features or FeatureCollections.

    Raises:
        BadInputError: no GeoJSON, no polygon, or none that meets the slide.
        EnvironmentLacksError: the file may not be read.
    """
    polygons = [part for geometry in list_geometries(path) for part in build_polygons(path, geometry)]
    if not polygons:
        raise BadInputError(f"{path}: holds no polygon. {CURE}")
    frame = shapely.box(0, 0, slide.width_l0, slide.height_l0)
    met = [polygon for polygon in polygons if polygon.intersection(frame).area > 0]
    if not met:
        left, top, right, bottom = (round(float(side)) for side in shapely.total_bounds(polygons))
        raise BadInputError(
            f"{path}: x {left} to {right}, y {top} to {bottom} px lie outside of {slide.path.name}, "
            f"{slide.width_l0} x {slide.height_l0} px. {CURE}"
        )
    return Roi(met, slide.resolution.um_per_px if slide.resolution else math.nan)


def list_geometries(path: Path) -> list[Any]:
    """The geometries in a GeoJSON file.

    Raises:
        BadInputError: it is none.
        EnvironmentLacksError: it may not be read.
    """
    check_regular_file(path)
    try:
        return list(unpack(path, json.loads(path.read_text(encoding="utf-8-sig"))))
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: there is no such file. Check the path") from error
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: may not or cannot be read ({error.strerror}). Give this user read permission"
        ) from error
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: is no GeoJSON ({shorten(error)}). {CURE}") from error


def unpack(path: Path, item: Any) -> Iterator[Any]:
    """The geometries in a GeoJSON object, however deep.

    Raises:
        BadInputError: it is no GeoJSON object.
    """
    if isinstance(item, list):
        for part in item:
            yield from unpack(path, part)
    elif isinstance(item, dict) and "features" in item:
        yield from unpack(path, item["features"])
    elif isinstance(item, dict) and "geometries" in item:
        yield from unpack(path, item["geometries"])
    elif isinstance(item, dict) and "geometry" in item:
        yield from unpack(path, item["geometry"])
    elif isinstance(item, dict) and isinstance(item.get("type"), str):
        yield item
    elif item is not None:
        raise BadInputError(f"{path}: is no GeoJSON (no type, features or geometry). {CURE}")


def build_polygons(path: Path, geometry: dict[str, Any]) -> list[shapely.Polygon]:
    """The valid polygons of one geometry; none of points and lines.

    Raises:
        BadInputError: its coordinates make no polygon.
    """
    if geometry["type"] not in ("Polygon", "MultiPolygon"):
        return []
    try:
        shape = shapely.from_geojson(json.dumps({**geometry, "coordinates": geometry["coordinates"]}))
    except (KeyError, shapely.errors.ShapelyError) as error:
        raise BadInputError(f"{path}: has a {geometry['type']} without area ({error}). {CURE}") from error
    if not np.isfinite(shapely.get_coordinates(shape)).all():
        raise BadInputError(f"{path}: has coordinates that are no numbers. {CURE}")
    parts = shapely.get_parts(shapely.make_valid(shape, method="structure"))
    return [part for part in parts if isinstance(part, shapely.Polygon) and part.area > 0]
