"""The mask as a pyramidal OME-TIFF: 255 is gland, 0 is not, at every level.

Grey 255 rather than label 1, so that every viewer shows the mask without settings; as there are only the
two values, "above 0" reads it as labels.

Readers know pyramids by two rules: OME-TIFF (Bio-Formats, QuPath, tifffile) looks up the smaller levels in
the first page's SubIFDs, plain TIFF (OpenSlide, GDAL) follows the chain of pages and takes those marked
"reduced". The same pages serve both: the first page's SubIFDs are also the pages that follow it.
"""

from __future__ import annotations

import contextlib
import math
import struct
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffWriter

from glandseg.core.errors import BadInputError
from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import TILE, Box, fill_levels, list_boxes, read_tiles

BIG_BYTES = 1 << 31  # raw pixels from which on offsets take 64 bits
_OPTIONS: dict[str, Any] = {
    "tile": (TILE, TILE),
    "dtype": np.uint8,
    "photometric": "minisblack",
    "compression": "zlib",
    "metadata": None,
    "software": False,
    "resolutionunit": "CENTIMETER",
}
_OME = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"'
    ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xsi:schemaLocation="http://www.openmicroscopy.org/Schemas/OME/2016-06'
    ' http://www.openmicroscopy.org/Schemas/OME/2016-06/ome.xsd">'
    '<Image ID="Image:0" Name="Gland mask">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SignificantBits="8"'
    ' SizeX="{width}" SizeY="{height}" SizeC="1" SizeZ="1" SizeT="1"'
    ' PhysicalSizeX="{um}" PhysicalSizeY="{um}">'  # um by default; Bio-Formats refuses "&#181;m"
    '<Channel ID="Channel:0:0" Name="Gland" SamplesPerPixel="1"/>'
    '<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)


@contextlib.contextmanager
def write_gland_mask(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the mask of a slide's glands, as if none were separated, drawn on disk first."""
    with TileMap(path.with_name("mask.map"), *found.mask_shape) as mask:
        yield lambda gland, _: None
        for gland in found.mask_glands:
            draw_polygon(gland.polygon_px, mask)
        write_mask(path, mask, found.plane.um_per_px)


def write_mask(path: Path, mask: TileMap, um_per_px: float) -> None:
    """Write a mask tile by tile, with smaller levels down to 512 px; same mask, same bytes.

    The mask is read twice: to fill the smaller levels, on disk beside the file, and to write it.

    Args:
        path: File to write; its name should end in ".ome.tif".
        mask: (H, W), gland where not 0; some tiles of it are held at a time.
        um_per_px: Micrometres per mask pixel.

    Raises:
        BadInputError: The pixel size is not a finite number above 0.
    """
    if not (um_per_px > 0 and math.isfinite(um_per_px)):
        raise BadInputError(f"{path.name}: um_per_px must be a number above 0. Received: {um_per_px}")
    boxes = list_boxes(mask.shape)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent)))
        maps = (TileMap(folder / f"{y}x{x}", mask.shape[0] // y, mask.shape[1] // x) for y, x in boxes[1:])
        levels = [mask, *map(stack.enter_context, maps)]
        fill_levels(levels, boxes)
        _write_pages(path, levels, boxes, um_per_px)
    if len(levels) > 1:
        _chain_pages(path)


def _write_pages(path: Path, levels: Sequence[TileMap], boxes: Sequence[Box], um_per_px: float) -> None:
    big = math.prod(levels[0].shape) >= BIG_BYTES
    with TiffWriter(path, bigtiff=big, byteorder="<", ome=False, shaped=False) as tiff:
        for number, (level, box) in enumerate(zip(levels, boxes, strict=True)):
            tiff.write(
                _list_tiles(level),
                shape=level.shape,
                description=_describe(level.shape, um_per_px) if number == 0 else None,
                subifds=len(levels) - 1 if number == 0 else None,
                subfiletype=int(number > 0),
                resolution=tuple(1e4 / (um_per_px * px) for px in reversed(box)),
                **_OPTIONS,
            )


def _chain_pages(path: Path) -> None:
    """Chain the first page to its SubIFDs, which tifffile has chained to each other."""
    with TiffFile(path) as tiff:
        page, layout = tiff.pages.first, tiff.tiff
        follower, tags = page.subifds[0], len(page.tags)
    with path.open("r+b") as file:
        file.seek(page.offset + layout.tagnosize + tags * layout.tagsize)
        file.write(struct.pack(layout.offsetformat, follower))


def _describe(shape_hw: tuple[int, ...], um_per_px: float) -> bytes:
    return _OME.format(height=shape_hw[0], width=shape_hw[1], um=f"{um_per_px:.6g}").encode()


def _list_tiles(level: TileMap) -> Iterator[bytes]:
    """Yield a level's tiles, compressed, in reading order."""
    for _, _, part in read_tiles(level):
        if not part.any():
            yield _EMPTY
            continue
        tile = np.zeros((TILE, TILE), np.uint8)
        tile[: part.shape[0], : part.shape[1]] = (part != 0) * np.uint8(255)
        yield _compress(tile)


def _compress(tile: NDArray[np.uint8]) -> bytes:
    return zlib.compress(tile.tobytes(), 6)


_EMPTY = _compress(np.zeros((TILE, TILE), np.uint8))
