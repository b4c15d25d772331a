"""OME-TIFF and label TIFF by the rules of Bio-Formats, QuPath and OpenSlide."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from glandseg.runtime.checks.fault import Fault

OME = "{http://www.openmicroscopy.org/Schemas/OME/2016-06}"
_TOLERANCE_PX = 1.0  # of a level's size, rounded up or down


def check_tiff(path: Path) -> Iterator[Fault]:
    """Yield faults of a TIFF: its levels, tiles, OME-XML, and px that cannot be decoded."""
    try:
        with tifffile.TiffFile(path) as tiff:
            yield from _check_levels(tiff)
            if path.name.lower().endswith((".ome.tif", ".ome.tiff")):
                yield from _check_ome(tiff)
            yield from _check_tiles(tiff, path.stat().st_size)
    except (tifffile.TiffFileError, OSError, ValueError, IndexError, RuntimeError) as error:
        yield Fault("the file", f"cannot be read as TIFF ({str(error)[:120]})")


def _check_levels(tiff: tifffile.TiffFile) -> Iterator[Fault]:
    pages: list[Any] = list(tiff.series[0].levels)
    height, width = pages[0].shape[:2]
    for number, level in enumerate(pages):
        page = level.keyframe
        if len(pages) > 1 and not page.is_tiled:
            yield Fault(f"level {number}", "is not tiled, so that a viewer reads it whole")
        factor = 2**number
        expected = height / factor, width / factor
        off = max(abs(side - wanted) for side, wanted in zip(page.shape[:2], expected, strict=True))
        if off > _TOLERANCE_PX:
            yield Fault(
                f"level {number}", f"is {page.shape[1]} x {page.shape[0]} px, not half of the one above"
            )


def _check_ome(tiff: tifffile.TiffFile) -> Iterator[Fault]:
    try:
        root = ElementTree.fromstring(tiff.ome_metadata or "")
    except ElementTree.ParseError as error:
        yield Fault("OME-XML", f"cannot be parsed ({error})")
        return
    pixels = root.find(f"{OME}Image/{OME}Pixels")
    if pixels is None:
        yield Fault("OME-XML", "describes no image")
        return
    page = tiff.pages.first
    samples = int(page.samplesperpixel)
    wanted = {"SizeX": page.imagewidth, "SizeY": page.imagelength, "SizeC": samples}
    for name, value in wanted.items():
        if pixels.get(name) != str(value):
            yield Fault("OME-XML", f"says {name} {pixels.get(name)}, and the image has {value}")
    if pixels.get("Type") != str(page.dtype):
        yield Fault("OME-XML", f"says Type {pixels.get('Type')}, and the image has {page.dtype}")
    sizes = [pixels.get(f"PhysicalSize{axis}") for axis in "XY"]
    if not all(size is not None and float(size) > 0 for size in sizes):
        yield Fault("OME-XML", "states no physical size, so that nothing can be measured")
    if "&#" in (tiff.ome_metadata or ""):
        yield Fault("OME-XML", "holds a numeric character reference, which Bio-Formats blanks")


def _check_tiles(tiff: tifffile.TiffFile, size: int) -> Iterator[Fault]:
    """Yield tiles that lie outside the file, and whether the smallest level decodes."""
    for number, level in enumerate(tiff.series[0].levels):
        page: Any = level.keyframe
        ends = np.array(page.dataoffsets, np.int64) + np.array(page.databytecounts, np.int64)
        if len(ends) and ends.max() > size:
            yield Fault(f"level {number}", "has tiles beyond the end of the file, which was cut off")
            return
    tiff.series[0].levels[-1].asarray()
