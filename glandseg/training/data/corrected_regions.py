"""Regions that were corrected in QuPath: inside them every gland is outlined, and the rest is not gland."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from glandseg.core.errors import BadInputError
from glandseg.runtime.annotations.annotation import Annotation, count_classes
from glandseg.runtime.annotations.geojson import read_annotations
from glandseg.training.data.annotated_regions import IS_GLAND, AnnotatedRegions, list_polygons, take_polygon
from glandseg.training.data.labelled_patches import simplify

REGION = "region"  # QuPath's class Region*, which `infer --suggest` gives
GAP_PX = 1.0  # of background drawn between glands that touch, at level 0


def read_corrected_regions(path: Path) -> list[AnnotatedRegions]:
    """Read the corrected regions of a slide, in level-0 px: what is gland and what is not in each.

    Regions have the class Region*; where two overlap, the earlier one has the px. Glands have class Gland;
    their holes, which are lumina, are filled, and a gap parts those that touch. Areas of class Ignore* are
    cut out.

    Raises:
        BadInputError: If it is not GeoJSON, no region is marked, or a region or gland is no valid polygon.
        EnvironmentLacksError: If the file cannot be read.
    """
    annotations = read_annotations(path)
    marked = [each for each in annotations if _has_class(each, REGION)]
    if not marked:
        raise BadInputError(
            f"{path}: no region is marked (found: {count_classes(annotations) or 'no features'}). Give the "
            "areas in which you have corrected every gland the class Region* in QuPath, and export again."
        )
    glands = part_touching([_fill(take_polygon(each, path)) for each in annotations if _is_gland(each)])
    left_out = _unite([take_polygon(each, path) for each in annotations if each.is_ignored])
    regions = _share_out([take_polygon(each, path) for each in marked], left_out)
    return [_split(region, glands) for region in regions if region.area > 0]


def part_touching(glands: Sequence[BaseGeometry]) -> BaseGeometry:
    """Unite glands, with a gap between those that touch, so that each stays a gland of its own."""
    if not glands:
        return shapely.MultiPolygon()
    tree = shapely.STRtree(glands)
    pairs = tree.query(glands, predicate="dwithin", distance=GAP_PX).T
    grown = shapely.buffer(np.array(glands, object), GAP_PX / 2 + 0.5, quad_segs=4)
    gaps = [shapely.intersection(grown[one], grown[other]) for one, other in pairs.tolist() if one < other]
    return shapely.difference(_unite(glands), _unite(gaps))


def _share_out(regions: Sequence[BaseGeometry], taken: BaseGeometry) -> Iterator[BaseGeometry]:
    """Yield each region without the areas taken before."""
    for region in regions:
        yield shapely.difference(region, taken)
        taken = shapely.union(taken, region)


def _split(region: BaseGeometry, glands: BaseGeometry) -> AnnotatedRegions:
    gland, other = shapely.intersection(region, glands), shapely.difference(region, glands)
    return AnnotatedRegions(gland=list_polygons(gland), non_gland=list_polygons(other))


def _has_class(annotation: Annotation, name: str) -> bool:
    return bool(annotation.names) and simplify(annotation.names[0]).strip("*") == name


def _is_gland(annotation: Annotation) -> bool:
    named = bool(annotation.names) and not annotation.is_ignored
    return named and IS_GLAND.get(simplify(annotation.names[0]), False)


def _fill(polygon: BaseGeometry) -> BaseGeometry:
    return _unite([shapely.Polygon(part.exterior) for part in shapely.get_parts(polygon)])


def _unite(areas: Sequence[BaseGeometry]) -> BaseGeometry:
    return shapely.union_all(np.array(areas, object))
