"""Regions drawn in QuPath, as areas of gland and of non-gland tissue."""

from __future__ import annotations

import gzip
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from shapely.geometry import shape
from shapely.geometry.base import BaseGeometry

from glandseg.runtime.errors import BadInputError, shorten
from glandseg.training.data.labelled_patches import FOLDER_LABELS, simplify

# A class's name without what QuPath puts behind a colon, and whether it is gland.
IS_GLAND = {name: labels[1] for name, labels in FOLDER_LABELS.items() if not all(labels)}


@dataclass(frozen=True)
class Regions:
    """Areas in px; the two do not overlap.

    Attributes:
        gland: polygons of gland tissue.
        non_gland: polygons of other tissue.
    """

    gland: tuple[BaseGeometry, ...]
    non_gland: tuple[BaseGeometry, ...]

    def find_islands(self) -> tuple[BaseGeometry, ...]:
        """Give the separate areas that are annotated at all."""
        return _list_polygons(shapely.union_all([*self.gland, *self.non_gland]))

    def crop(self, width: float, height: float) -> Regions:
        """Take what lies within a picture of this size."""
        frame = shapely.box(0, 0, width, height)
        gland, non_gland = (
            _list_polygons(shapely.intersection(shapely.union_all(part), frame))
            for part in (self.gland, self.non_gland)
        )
        return Regions(gland=gland, non_gland=non_gland)

    def shrink(self, factor: float) -> Regions:
        """Divide all coordinates by a factor."""
        gland, non_gland = (
            tuple(shapely.transform(polygon, lambda xy: xy / factor) for polygon in part)
            for part in (self.gland, self.non_gland)
        )
        return Regions(gland=gland, non_gland=non_gland)


def read_regions(path: Path) -> Regions:
    """Read the regions of a `.geojson` or `.geojson.gz`, in level-0 px of the slide as QuPath shows it.

    Features count whose class is gland, or non-gland, stroma or other, in capitals or not; others are passed
    over. Where regions of both classes overlap, the smaller region counts: glands drawn inside a field of
    stroma are glands.

    Raises:
        BadInputError: if it is not GeoJSON, no region has such a class, or such a one is no valid polygon.
    """
    features = _load_features(path)
    drawn = [
        (_read_polygon(feature, f"{path}: feature {number}"), is_gland)
        for number, feature in enumerate(features, 1)
        if (is_gland := IS_GLAND.get(simplify(_name_class(feature).partition(":")[0]))) is not None
    ]
    if not drawn:
        names = sorted({_name_class(feature) or "none" for feature in features}) or ["no features"]
        raise BadInputError(
            f"{path}: no region is classified Gland or Non-gland (found: {', '.join(names[:5])}). "
            "Set the classes in QuPath and export again."
        )
    return _settle_overlaps([polygon for polygon, _ in drawn], [is_gland for _, is_gland in drawn])


def _load_features(path: Path) -> list[Mapping[str, Any]]:
    try:
        data = path.read_bytes()
        content = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except (ValueError, OSError, EOFError, RecursionError) as error:
        raise BadInputError(
            f"{path}: not GeoJSON ({shorten(error, 120)}). Export it again from QuPath."
        ) from None
    if isinstance(content, Mapping):
        content = content.get("features", [content])
    if not isinstance(content, list) or not all(isinstance(feature, Mapping) for feature in content):
        raise BadInputError(
            f"{path}: not GeoJSON (a FeatureCollection expected). Export it again from QuPath."
        )
    return content


def _name_class(feature: Mapping[str, Any]) -> str:
    properties = feature.get("properties")
    classification = properties.get("classification") if isinstance(properties, Mapping) else None
    name = classification.get("name") if isinstance(classification, Mapping) else None
    return name if isinstance(name, str) else ""


def _read_polygon(feature: Mapping[str, Any], where: str) -> BaseGeometry:
    where = f"{where} ({_name_class(feature)})"
    geometry = feature.get("geometry")
    kind = geometry.get("type") if isinstance(geometry, dict) else None
    if not isinstance(geometry, dict) or kind not in ("Polygon", "MultiPolygon"):
        raise BadInputError(f"{where} is a {kind}, regions are polygons. Delete it, or draw it as an area.")
    try:
        with np.errstate(invalid="ignore"):  # NaN, which is told below
            polygon = shape(geometry)
        finite = bool(np.isfinite(shapely.get_coordinates(polygon)).all())
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, shapely.errors.ShapelyError):
        raise BadInputError(
            f"{where}: its coordinates are no polygon. Export it again from QuPath."
        ) from None
    if not finite or polygon.is_empty or not polygon.is_valid:
        reason = shapely.is_valid_reason(polygon) if finite and not polygon.is_empty else "no area"
        raise BadInputError(f"{where} is not a valid polygon ({reason}). Draw it again without crossings.")
    return shapely.force_2d(polygon)


def _settle_overlaps(polygons: Sequence[BaseGeometry], is_gland: Sequence[bool]) -> Regions:
    """Take from each region the smaller ones of the other class that lie on it."""
    ranks = np.argsort(np.argsort([polygon.area for polygon in polygons], kind="stable"))
    over: dict[int, list[BaseGeometry]] = {}
    tree = shapely.STRtree(polygons)
    for one, other in tree.query(polygons, predicate="intersects").T.tolist():
        if is_gland[one] != is_gland[other] and ranks[other] < ranks[one]:
            over.setdefault(one, []).append(polygons[other])
    seen = [
        shapely.difference(polygon, shapely.union_all(over[index])) if index in over else polygon
        for index, polygon in enumerate(polygons)
    ]
    gland, other_tissue = (
        shapely.union_all([area for area, gland in zip(seen, is_gland, strict=True) if gland == wanted])
        for wanted in (True, False)
    )
    return Regions(gland=_list_polygons(gland), non_gland=_list_polygons(other_tissue))


def _list_polygons(area: BaseGeometry) -> tuple[BaseGeometry, ...]:
    """Give the polygons of an area; lines and points, which overlays may leave, go."""
    return tuple(part for part in shapely.get_parts(area) if part.area > 0)
