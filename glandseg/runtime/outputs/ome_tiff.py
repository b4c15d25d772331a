"""Pyramidal OME-TIFF of maps on disk: tile by tile, for readers of OME-TIFF and of plain TIFF alike.

Readers know pyramids by two rules: OME-TIFF (Bio-Formats, QuPath, tifffile) looks up the smaller levels in
the first page's SubIFDs, plain TIFF (OpenSlide, GDAL) follows the chain of pages and takes those marked
"reduced". The same pages serve both: the first page's SubIFDs are also the pages that follow it.
"""

from __future__ import annotations

import contextlib
import math
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFile, TiffWriter

from glandseg.core.errors import BadInputError
from glandseg.runtime.maps.tile_map import ReadableMap, TileMap
from glandseg.runtime.outputs.mask_pyramid import TILE, Box, Fill, list_boxes, read_tiles

BIG_BYTES = 1 << 31  # raw pixels from which on offsets take 64 bits
_LEVEL = 6  # of libdeflate
Encode = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
_OPTIONS: dict[str, Any] = {
    "tile": (TILE, TILE),
    "dtype": np.uint8,
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
    '<Image ID="Image:0" Name="{name}">'
    '<Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SignificantBits="8"'
    ' SizeX="{width}" SizeY="{height}" SizeC="{samples}" SizeZ="1" SizeT="1"'
    ' PhysicalSizeX="{um}" PhysicalSizeY="{um}">'  # um by default; Bio-Formats refuses "&#181;m"
    '<Channel ID="Channel:0:0" Name="{channel}" SamplesPerPixel="{samples}"/>'
    '<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)


@dataclass(frozen=True, kw_only=True)
class OmeImage:
    """What an OME-TIFF says of its image.

    Attributes:
        name: Name of the image.
        channel: Name of its channel.
        um_per_px: Micrometres per px, finite and above 0.
        samples: Samples per px: 1 for grey, 4 for RGBA whose color is not multiplied by alpha.
    """

    name: str
    channel: str
    um_per_px: float
    samples: int = 1

    def check(self, path: Path) -> None:
        """Check the size of the px.

        Raises:
            BadInputError: It is not a finite number above 0.
        """
        if not (self.um_per_px > 0 and math.isfinite(self.um_per_px)):
            raise BadInputError(
                f"{path.name}: um_per_px must be a number above 0. Received: {self.um_per_px}"
            )

    @property
    def options(self) -> dict[str, Any]:
        """Options of tifffile that depend on the samples."""
        if self.samples == 1:
            return {"photometric": "minisblack"}
        return {"photometric": "rgb", "planarconfig": "contig", "extrasamples": ["unassalpha"]}

    def describe(self, shape_hw: tuple[int, ...]) -> bytes:
        """Return the OME-XML of an image of a height and width."""
        facts = {"name": self.name, "channel": self.channel, "samples": self.samples}
        um = f"{self.um_per_px:.6g}"
        return _OME.format(height=shape_hw[0], width=shape_hw[1], um=um, **facts).encode()


def write_map(path: Path, full: ReadableMap, image: OmeImage, fill: Fill, encode: Encode) -> None:
    """Write a map and smaller levels of it as a pyramid.

    The map is read twice: to fill the smaller levels, on disk beside the file, and to write it.

    Args:
        path: File to write; its name should end in ".ome.tif".
        full: (H, W) map.
        image: What the file says.
        fill: Fills the smaller levels.
        encode: Turns a part of a level into px, as for `write_pyramid`.

    Raises:
        BadInputError: The pixel size is not a finite number above 0.
    """
    image.check(path)
    boxes = list_boxes(full.shape)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent)))
        maps = (TileMap(folder / f"{y}x{x}", full.shape[0] // y, full.shape[1] // x) for y, x in boxes[1:])
        smaller = [stack.enter_context(level) for level in maps]
        fill(full, smaller, boxes)
        write_pyramid(path, [full, *smaller], boxes, image, encode)


def write_pyramid(
    path: Path, levels: Sequence[ReadableMap], boxes: Sequence[Box], image: OmeImage, encode: Encode
) -> None:
    """Write levels, full size first, some tiles at a time; same levels, same bytes.

    Args:
        path: File to write; its name should end in ".ome.tif".
        levels: Maps of the levels.
        boxes: Size of a pixel of each level, as from `list_boxes`.
        image: What the file says.
        encode: Turns a part of a level, (h, w) uint8 and not all 0, into px: (h, w) uint8, or (h, w, samples)
            where there are several samples. Where a level is 0, all samples are 0.
    """
    big = math.prod(levels[0].shape) * image.samples >= BIG_BYTES
    extra = () if image.samples == 1 else (image.samples,)
    with TiffWriter(path, bigtiff=big, byteorder="<", ome=False, shaped=False) as tiff:
        for number, (level, box) in enumerate(zip(levels, boxes, strict=True)):
            tiff.write(
                _list_tiles(level, encode, (TILE, TILE, *extra)),
                shape=(*level.shape, *extra),
                description=image.describe(level.shape) if number == 0 else None,
                subifds=len(levels) - 1 if number == 0 else None,
                subfiletype=int(number > 0),
                resolution=tuple(1e4 / (image.um_per_px * px) for px in reversed(box)),
                **_OPTIONS,
                **image.options,
            )
    if len(levels) > 1:
        _chain_pages(path)


def _chain_pages(path: Path) -> None:
    """Chain the first page to its SubIFDs, which tifffile has chained to each other."""
    with TiffFile(path) as tiff:
        page, layout = tiff.pages.first, tiff.tiff
        follower, tags = page.subifds[0], len(page.tags)
    with path.open("r+b") as file:
        file.seek(page.offset + layout.tagnosize + tags * layout.tagsize)
        file.write(struct.pack(layout.offsetformat, follower))


def _list_tiles(level: ReadableMap, encode: Encode, shape: tuple[int, ...]) -> Iterator[bytes]:
    """Yield a level's tiles, compressed, in reading order."""
    empty = compress_px(np.zeros(shape, np.uint8))
    for _, _, part in read_tiles(level):
        if not part.any():
            yield empty
            continue
        tile = np.zeros(shape, np.uint8)
        tile[: part.shape[0], : part.shape[1]] = encode(part)
        yield compress_px(tile)


def compress_px(px: NDArray[Any]) -> bytes:
    """Compress px as TIFF's deflate, smaller and in less time than zlib."""
    return bytes(imagecodecs.deflate_encode(px.tobytes(), level=_LEVEL))
