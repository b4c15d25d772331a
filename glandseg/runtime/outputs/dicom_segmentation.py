"""The mask of a DICOM slide as DICOM: a binary Segmentation of the px that lie in a gland, lumina excluded.

An archive stores it beside the slide, and viewers such as Slim lay it over. It has one level, at the model's
um/px, whose tiles without glands are left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.dicom_source import describe_instance, find_base, identify_model, name_gland
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import TILE, read_tiles

_SERIES_NUMBER = 9302  # unlike those that scanners give
_THICKNESS_MM = 0.001  # of a section, where its slide does not say it


@contextmanager
def write_segmentation(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the px of all glands, drawn on disk first; highdicom holds their tiles, at one bit a px.

    Raises:
        BadInputError: The slide's series has no image of the whole slide.
    """
    base = find_base(found)
    with TileMap(path.with_name("segmentation.map"), *found.mask_shape) as mask:
        yield lambda gland, _: draw_polygon(gland.polygon_px, mask)
        flat = _flatten(mask, path.with_name("segmentation.px"))
        build_segmentation(base, found, flat).save_as(path)


def build_segmentation(base: Any, found: SlideGlands, mask: NDArray[np.uint8]) -> Any:
    """Build the dataset of a slide's segmentation.

    Args:
        base: Header of the largest image of the slide.
        found: Glands of the slide.
        mask: (H, W) uint8, 1 is gland, 0 is not, at the model's um/px.
    """
    from highdicom import PixelMeasuresSequence, PlanePositionSequence
    from highdicom.seg import Segmentation, SegmentDescription
    from pydicom.sr.codedict import codes

    _complete(base)
    [origin] = base.TotalPixelMatrixOriginSequence
    [measures] = base.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence
    gland = SegmentDescription(
        segment_number=1,
        segment_label="gland",
        segmented_property_category=codes.SCT.AnatomicalStructure,
        segmented_property_type=name_gland(),
        algorithm_type="AUTOMATIC",
        algorithm_identification=identify_model(found),
    )
    corner_mm = (origin.XOffsetInSlideCoordinateSystem, origin.YOffsetInSlideCoordinateSystem, 0)
    segmentation = Segmentation(
        source_images=[base],
        pixel_array=mask,
        segmentation_type="BINARY",
        segment_descriptions=[gland],
        series_number=_SERIES_NUMBER,
        tile_pixel_array=True,
        tile_size=(TILE, TILE),
        pixel_measures=PixelMeasuresSequence(
            [float(mm) * found.plane.l0_per_px for mm in measures.PixelSpacing],
            slice_thickness=float(measures.get("SliceThickness", _THICKNESS_MM)),
        ),
        plane_positions=[PlanePositionSequence("SLIDE", [float(mm) for mm in corner_mm], (1, 1))],
        **describe_instance(found, "segmentation"),
    )
    segmentation.PatientOrientation = ""  # unknown, as ImageOrientationSlide takes its place
    return segmentation


def _complete(base: Any) -> None:
    """Add where the slide's px begin, if its scanner has left that out: at the origin of the glass slide."""
    from pydicom import Dataset

    if "TotalPixelMatrixOriginSequence" not in base:
        origin = Dataset()
        origin.XOffsetInSlideCoordinateSystem = origin.YOffsetInSlideCoordinateSystem = 0
        base.TotalPixelMatrixOriginSequence = [origin]


def _flatten(mask: TileMap, path: Path) -> NDArray[np.uint8]:
    """Return a mask as one array of 1 and 0 that lies in a file."""
    flat = np.memmap(path, np.uint8, "w+", shape=mask.shape)
    for top, left, part in read_tiles(mask):
        height, width = part.shape
        flat[top : top + height, left : left + width] = part != 0
    return flat
