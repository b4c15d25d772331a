"""DICOM annotations and segmentations by the standard, as highdicom reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.checks.fault import Fault
from glandseg.runtime.checks.reader import import_reader

_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"


def check_dicom(path: Path) -> Iterator[Fault]:
    """Yield faults of Microscopy Bulk Simple Annotations, or of a tiled Segmentation.

    Raises:
        EnvironmentLacksError: highdicom is not installed.
    """
    ann = import_reader(path, "highdicom.ann", "dicom")
    seg = import_reader(path, "highdicom.seg", "dicom")
    pydicom = import_reader(path, "pydicom", "dicom")
    try:
        if pydicom.dcmread(path, specific_tags=["SOPClassUID"]).SOPClassUID == _SEGMENTATION:
            yield from _check_segmentation(seg.segread(path))
            return
        annotations = ann.annread(path)
        for group in annotations.get_annotation_groups():
            yield from _check_group(group, str(annotations.annotation_coordinate_type.value))
    except Exception as error:  # pydicom and highdicom raise many kinds for what is not as expected
        yield Fault("the file", f"cannot be read as DICOM annotations or segmentation ({str(error)[:120]})")


def _check_segmentation(segmentation: Any) -> Iterator[Fault]:
    """Yield faults of the segments, and read all px, a band of tiles at a time."""
    if segmentation.number_of_segments != 1:
        yield Fault("the file", f"has {segmentation.number_of_segments} segments; 1 is expected")
    if not segmentation.is_tiled:
        yield Fault("the file", "is not tiled, so it does not belong to a slide")
        return
    height, band = segmentation.TotalPixelMatrixRows, segmentation.Rows
    for top in range(0, height, band):  # raises where px are lacking
        bottom = min(top + band, height)
        segmentation.get_total_pixel_matrix(row_start=top, row_end=bottom, as_indices=True)


def _check_group(group: Any, coordinate_type: str) -> Iterator[Fault]:
    place = f"group {group.number}"
    if not group.NumberOfAnnotations:
        return
    graphics = group.get_graphic_data(coordinate_type)
    if len(graphics) != group.NumberOfAnnotations:
        yield Fault(place, f"says {group.NumberOfAnnotations} annotations and has {len(graphics)}")
    for number, graphic in enumerate(graphics, 1):
        if group.graphic_type.value == "POLYGON" and (text := _find_fault(graphic)):
            yield Fault(f"annotation {number} of {place}", text)
    names, values, _ = group.get_measurements()
    if names and len(values) != len(graphics):
        yield Fault(place, f"has {len(values)} rows of measurements for {len(graphics)} annotations")


def _find_fault(graphic: NDArray[np.floating[Any]]) -> str:
    if not np.isfinite(graphic).all():
        return "has coordinates that are no numbers"
    if len(graphic) < 3:
        return f"is a polygon of {len(graphic)} points"
    if (graphic < 0).any():
        return "lies left of the image or above it"
    polygon = shapely.Polygon(graphic[:, :2])
    return "" if polygon.is_valid else f"is no valid polygon ({shapely.is_valid_reason(polygon)})"
