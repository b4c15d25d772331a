"""DICOM annotations by the standard, as highdicom reads them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.checks.fault import Fault
from glandseg.runtime.checks.reader import import_reader


def check_dicom(path: Path) -> Iterator[Fault]:
    """Yield faults of Microscopy Bulk Simple Annotations: polygons, and numbers of annotations and values.

    Raises:
        EnvironmentLacksError: highdicom is not installed.
    """
    ann = import_reader(path, "highdicom.ann", "dicom")
    try:
        annotations = ann.annread(path)
        for group in annotations.get_annotation_groups():
            yield from _check_group(group, str(annotations.annotation_coordinate_type.value))
    except Exception as error:  # pydicom and highdicom raise many kinds for what is not as expected
        yield Fault("the file", f"cannot be read as DICOM annotations ({str(error)[:120]})")


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
