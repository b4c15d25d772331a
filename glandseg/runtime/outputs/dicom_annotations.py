"""The glands of a DICOM slide as DICOM: one group of Microscopy Bulk Simple Annotations.

An archive stores them beside the slide, for they carry its patient, study and frame of reference, and viewers
such as Slim draw them over it. The standard's polygons have no holes, so lumina are not in them; the areas
are those without lumina. highdicom builds the file in memory, so contours are simplified by half a px of the
model.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from glandseg import RESEARCH_USE
from glandseg.runtime.glands.measurements import Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.dicom_source import (
    describe_instance,
    find_base,
    identify_model,
    make_uid,
    name_gland,
)
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

SIMPLIFIED_PX = 0.5
_SERIES_NUMBER = 9301  # unlike those that scanners give
_TRIANGLE = np.array([[0, 0], [1, 0], [0, 1]], np.float32)


@contextmanager
def write_dicom(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write one annotation per gland, in px of the slide's total pixel matrix, with its area in um2.

    A slide without glands gets a group of none.

    Raises:
        BadInputError: The slide's series has no image of the whole slide.
    """
    contours: list[NDArray[np.float32]] = []
    areas_um2: list[float] = []

    def add(gland: Gland, measured: Measurements) -> None:
        contours.append(trace_outside(gland.polygon_px, found.plane.l0_per_px))
        areas_um2.append(measured.area_um2)

    base = find_base(found)
    yield add
    if contours:
        build_annotations(base, found, contours, areas_um2).save_as(path)
    else:
        _empty(build_annotations(base, found, [_TRIANGLE], [0.0])).save_as(path)


def trace_outside(polygon_px: Polygon, l0_per_px: float) -> NDArray[np.float32]:
    """Return the corners of a gland's outer contour, (N, 2) float32, x and y in level-0 px, none repeated."""
    filled = Polygon(polygon_px.exterior)
    simplified = shapely.simplify(filled, SIMPLIFIED_PX, preserve_topology=True)
    return np.asarray(shapely.get_coordinates(simplified)[:-1] * l0_per_px, np.float32)


def build_annotations(
    base: Any, found: SlideGlands, contours: Sequence[NDArray[np.float32]], areas_um2: Sequence[float]
) -> Any:
    """Build the dataset of a slide's annotations.

    Args:
        base: Header of the annotated image.
        found: Glands of the slide.
        contours: Outer contour of each gland, (N, 2) float32.
        areas_um2: Area of each gland.
    """
    from highdicom.ann import AnnotationGroup, MicroscopyBulkSimpleAnnotations
    from highdicom.ann import Measurements as Values
    from highdicom.sr import CodedConcept
    from pydicom.sr.codedict import codes

    area = Values(
        name=codes.SCT.Area,
        values=np.array(areas_um2, np.float32),
        unit=CodedConcept("um2", "UCUM", "square micrometer"),
    )
    group = AnnotationGroup(
        number=1,
        uid=make_uid(found, "group"),
        label="glands",
        annotated_property_category=codes.SCT.AnatomicalStructure,
        annotated_property_type=name_gland(),
        graphic_type="POLYGON",
        graphic_data=list(contours),
        algorithm_type="AUTOMATIC",
        algorithm_identification=identify_model(found),
        measurements=[area],
        description=RESEARCH_USE[:1024],
    )
    return MicroscopyBulkSimpleAnnotations(
        source_images=[base],
        annotation_coordinate_type="2D",
        annotation_groups=[group],
        series_number=_SERIES_NUMBER,
        **describe_instance(found, "annotations"),
    )


def _empty(annotations: Any) -> Any:
    """Take the only annotation away, which the standard foresees as little as highdicom does."""
    [group] = annotations.AnnotationGroupSequence
    group.NumberOfAnnotations = 0
    for name in ("PointCoordinatesData", "LongPrimitivePointIndexList", "MeasurementsSequence"):
        delattr(group, name)
    return annotations
