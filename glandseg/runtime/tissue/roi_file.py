"""Regions of interest from a GeoJSON file, without those of class Ignore*; each error names a cure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import shapely

from glandseg.core.errors import BadInputError
from glandseg.runtime.annotations.annotation import Annotation, list_plane_notes
from glandseg.runtime.annotations.geojson import CURE, read_annotations
from glandseg.runtime.annotations.geometry import GeometryError, mend_polygons
from glandseg.runtime.tissue.roi import Roi
from glandseg.slides.slide import Slide

MAX_COVERS = 50  # times that polygons may cover a slide before they are united, as drawing them takes longer


def read_roi(path: Path, slide: Slide) -> Roi:
    """Read the polygons of a GeoJSON file; those of class Ignore* are left out of the others.

    Raises:
        BadInputError: The file is not GeoJSON, holds no polygon, or none that meets the slide.
        EnvironmentLacksError: The file cannot be read.
    """
    annotations = read_annotations(path)
    wanted, ignored = (
        _collect(path, [each for each in annotations if each.is_ignored == is_ignored])
        for is_ignored in (False, True)
    )
    if not wanted:
        _refuse_empty(path, annotations, bool(ignored))
    frame = shapely.box(0, 0, slide.width_l0, slide.height_l0)
    shapely.prepare(frame)
    met = _clip(wanted, frame)
    if not met:
        left, top, right, bottom = (round(float(side)) for side in shapely.total_bounds(wanted))
        raise BadInputError(
            f"{path}: x {left} to {right}, y {top} to {bottom} px lie outside of {slide.path.name}, "
            f"{slide.width_l0} x {slide.height_l0} px. {CURE}."
        )
    if sum(polygon.area for polygon in met) < 1:
        raise BadInputError(
            f"{path}: its regions cover less than one px of {slide.path.name}, so they are not in its px "
            f"(fractions, mm or degrees?). {CURE}."
        )
    um_per_l0 = slide.resolution.um_per_px if slide.resolution else math.nan
    return Roi(met, um_per_l0, _clip(ignored, frame), tuple(_list_notes(annotations)))


def _collect(path: Path, annotations: Sequence[Annotation]) -> list[shapely.Polygon]:
    """Return the polygons of annotations, made valid."""
    polygons: list[shapely.Polygon] = []
    for annotation in annotations:
        if annotation.geometry is None:
            continue
        if annotation.geometry.fault is not None:
            raise BadInputError(
                f"{path}: feature {annotation.number}, a {annotation.geometry.kind}, "
                f"{annotation.geometry.fault}. {CURE}."
            )
        polygons += annotation.geometry.polygons
    try:
        return mend_polygons(polygons)
    except GeometryError as error:
        raise BadInputError(f"{path}: its outlines {error}. Draw them again without crossings.") from None


def _refuse_empty(path: Path, annotations: Sequence[Annotation], has_ignored: bool) -> None:
    if has_ignored:
        raise BadInputError(
            f"{path}: holds regions of class Ignore* only. Draw the region to look at as well, "
            "such as a rectangle around the tissue."
        )
    kinds = sorted({annotation.geometry.kind for annotation in annotations if annotation.geometry})
    found = f" (found: {', '.join(kinds)})" if kinds else ""
    raise BadInputError(f"{path}: holds no polygon{found}. {CURE}.")


def _clip(polygons: Sequence[shapely.Polygon], frame: shapely.Polygon) -> list[shapely.Polygon]:
    """Return what lies within a slide's frame; polygons that cover it many times over are united."""
    if not polygons:
        return []
    array = np.array(polygons, object)
    beyond = ~np.asarray(shapely.covers(frame, array), np.bool_)
    array[beyond] = shapely.intersection(array[beyond], frame)
    if float(shapely.area(shapely.envelope(array)).sum()) > MAX_COVERS * frame.area:
        array = np.array([shapely.union_all(array)], object)
    parts = shapely.get_parts(array)
    return [part for part in parts if isinstance(part, shapely.Polygon) and part.area > 0]


def _list_notes(annotations: Sequence[Annotation]) -> list[str]:
    """List what was done with objects that are not plain regions."""
    drawn = [annotation for annotation in annotations if annotation.geometry is not None]
    areas = [annotation for annotation in drawn if annotation.geometry and annotation.geometry.polygons]
    ignored = sum(annotation.is_ignored for annotation in areas)
    notes = list_plane_notes(areas)
    if ignored:
        notes.append(f"regions of interest: {ignored} of class Ignore* left out")
    if len(areas) < len(drawn):
        notes.append(
            f"regions of interest: {len(drawn) - len(areas)} points or lines have no area: passed over"
        )
    classes = {annotation.label for annotation in areas if not annotation.is_ignored}
    if len(classes) > 1:
        notes.append(
            f"regions of interest: those of {len(classes)} classes all count, as only Ignore* is left out"
        )
    return notes
