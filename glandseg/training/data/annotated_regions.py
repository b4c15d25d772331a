"""Regions annotated in QuPath, as areas of gland and of non-gland tissue."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import shapely
from shapely.geometry.base import BaseGeometry

from glandseg.core.errors import BadInputError
from glandseg.runtime.annotations.annotation import Annotation, count_classes, list_plane_notes
from glandseg.runtime.annotations.geojson import read_annotations
from glandseg.training.data.hidden_regions import refuse_hidden
from glandseg.training.data.labelled_patches import FOLDER_LABELS, simplify

# Whether a class is gland, by its name without those derived from it.
IS_GLAND = {name: labels[1] for name, labels in FOLDER_LABELS.items() if not all(labels)}


@dataclass(frozen=True)
class AnnotatedRegions:
    """Areas in px; the two do not overlap.

    Attributes:
        gland: Polygons of gland tissue.
        non_gland: Polygons of other tissue.
        notes: Which regions were skipped, a line each, for the annotator.
    """

    gland: tuple[BaseGeometry, ...]
    non_gland: tuple[BaseGeometry, ...]
    notes: tuple[str, ...] = ()

    def find_islands(self) -> tuple[BaseGeometry, ...]:
        """Return the separate annotated areas, of either class."""
        return list_polygons(shapely.union(_unite(self.gland), _unite(self.non_gland)))

    def crop(self, width: float, height: float) -> AnnotatedRegions:
        """Return the parts within an image of this size, in px."""
        frame = shapely.box(0, 0, width, height)
        gland, non_gland = (
            list_polygons(shapely.intersection(_unite(part), frame)) for part in (self.gland, self.non_gland)
        )
        return AnnotatedRegions(gland=gland, non_gland=non_gland)

    def shrink(self, factor: float) -> AnnotatedRegions:
        """Return the regions with all coordinates divided by a factor."""
        gland, non_gland = (
            tuple(shapely.transform(polygon, lambda xy: xy / factor) for polygon in part)
            for part in (self.gland, self.non_gland)
        )
        return AnnotatedRegions(gland=gland, non_gland=non_gland)


def read_regions(path: Path) -> AnnotatedRegions:
    """Read the regions of a `.geojson` or `.geojson.gz`, in level-0 px of the slide as QuPath shows it.

    Features are used whose class is gland, or non-gland, stroma or other, in any case, alone or with derived
    classes. Areas of class Ignore* are cut out. Other classes are skipped with a note. Where regions of both
    classes overlap, the smaller one wins: glands annotated inside a field of stroma are glands.

    Raises:
        BadInputError: If it is not GeoJSON, no region has such a class, a region is not a valid polygon, or a
            region of another class lies on a larger one in use and would be mislabelled.
        EnvironmentLacksError: If the file cannot be read.
    """
    annotations = read_annotations(path)
    ignored = [each for each in annotations if each.is_ignored]
    counted = [each for each in annotations if not each.is_ignored and _is_counted(each, path)]
    passed = [each for each in annotations if not each.is_ignored and not _is_counted(each, path)]
    if not counted:
        raise BadInputError(
            f"{path}: no region is classified Gland or Non-gland (found: "
            f"{count_classes(annotations) or 'no features'}). Set the classes in QuPath and export again."
        )
    polygons = [take_polygon(each, path) for each in counted]
    refuse_hidden(path, passed, counted, polygons)
    left_out = [take_polygon(each, path) for each in ignored if _has_area(each)]
    regions = _settle_overlaps(polygons, [IS_GLAND[simplify(each.names[0])] for each in counted], left_out)
    return replace(regions, notes=tuple(_list_notes(annotations, passed, ignored)))


def _is_counted(annotation: Annotation, path: Path) -> bool:
    """Return whether a region's class is gland or non-gland.

    Raises:
        BadInputError: If it is both, as in Stroma: Gland.
    """
    if not annotation.names or simplify(annotation.names[0]) not in IS_GLAND:
        return False
    if len({IS_GLAND[simplify(name)] for name in annotation.names if simplify(name) in IS_GLAND}) > 1:
        raise BadInputError(
            f"{path}: feature {annotation.number} ({annotation.label}) is classified as gland and as "
            "non-gland. Set one of them in QuPath and export again."
        )
    return True


def _has_area(annotation: Annotation) -> bool:
    """Return whether an annotation is, or was meant to be, an area."""
    return annotation.geometry is not None and annotation.geometry.kind in ("Polygon", "MultiPolygon")


def take_polygon(annotation: Annotation, path: Path) -> BaseGeometry:
    """Return an annotation's area.

    Raises:
        BadInputError: If it is no area, or not a valid polygon.
    """
    where = f"{path}: feature {annotation.number} ({annotation.label})"
    geometry = annotation.geometry
    kind = geometry.kind if geometry else None
    if geometry is None or kind not in ("Polygon", "MultiPolygon"):
        raise BadInputError(f"{where} is a {kind}, regions are polygons. Delete it, or draw it as an area.")
    if geometry.fault is not None:
        raise BadInputError(
            f"{where} is not a valid polygon: it {geometry.fault}. Draw it again and export it from QuPath."
        )
    parts = geometry.polygons
    polygon = shapely.MultiPolygon(parts) if len(parts) != 1 else parts[0]
    if polygon.is_empty or not polygon.is_valid or polygon.area == 0:
        reason = "no area" if polygon.is_empty or polygon.is_valid else shapely.is_valid_reason(polygon)
        raise BadInputError(f"{where} is not a valid polygon ({reason}). Draw it again without crossings.")
    return polygon


def _list_notes(
    annotations: Sequence[Annotation], passed: Sequence[Annotation], ignored: Sequence[Annotation]
) -> Iterator[str]:
    """Yield a line for each reason that annotations are not used."""
    if passed:
        yield f"passed over, as neither Gland nor Non-gland: {count_classes(passed)}"
    if ignored:
        yield f"left out: {count_classes(ignored)}"
    yield from list_plane_notes(annotations)


def _settle_overlaps(
    polygons: Sequence[BaseGeometry], is_gland: Sequence[bool], left_out: Sequence[BaseGeometry]
) -> AnnotatedRegions:
    """Subtract from each region the smaller ones of the other class on it, and the ignored areas."""
    ranks = np.argsort(np.argsort([polygon.area for polygon in polygons], kind="stable"))
    over: dict[int, list[BaseGeometry]] = {}
    tree = shapely.STRtree(polygons)
    for one, other in tree.query(polygons, predicate="intersects").T.tolist():
        if is_gland[one] != is_gland[other] and ranks[other] < ranks[one]:
            over.setdefault(one, []).append(polygons[other])
    seen = [
        shapely.difference(polygon, _unite(over[index])) if index in over else polygon
        for index, polygon in enumerate(polygons)
    ]
    gland, other_tissue = (
        _unite([area for area, gland in zip(seen, is_gland, strict=True) if gland == wanted])
        for wanted in (True, False)
    )
    if left_out:
        away = _unite(left_out)
        gland, other_tissue = shapely.difference(gland, away), shapely.difference(other_tissue, away)
    return AnnotatedRegions(gland=list_polygons(gland), non_gland=list_polygons(other_tissue))


def _unite(areas: Sequence[BaseGeometry]) -> BaseGeometry:
    """Return the union of areas; for thousands of disjoint ones, many times as fast as `union_all`."""
    return shapely.disjoint_subset_union_all(np.array(areas, object))


def list_polygons(area: BaseGeometry) -> tuple[BaseGeometry, ...]:
    """Return the polygons of an area without the lines and points that overlays may leave."""
    return tuple(part for part in shapely.get_parts(area) if part.area > 0)
