"""The mask as a pyramidal OME-TIFF: 255 is gland, 0 is not, at every level.

Grey 255 rather than label 1, so that every viewer shows the mask at once; as there are only the two
values, "above 0" reads it as labels.
"""

from __future__ import annotations

import contextlib
import math
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffWriter

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.segmentation.tile_map import TileMap

TILE = 512
_BIG_BYTES = 1 << 31  # from this size of raw pixels on, 64-bit offsets
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
    ' PhysicalSizeX="{um}" PhysicalSizeXUnit="&#181;m" PhysicalSizeY="{um}" PhysicalSizeYUnit="&#181;m">'
    '<Channel ID="Channel:0:0" Name="Gland" SamplesPerPixel="1"/>'
    '<TiffData IFD="0" PlaneCount="1"/></Pixels></Image></OME>'
)


def write_mask(path: Path, mask: TileMap, um_per_px: float) -> None:
    """Writes a mask tile by tile, with half-size SubIFD levels down to 512 px; same mask, same bytes.

    Every level is read once: while it is written, the next one is laid down beside the file, on disk.

    Args:
        path: The file; its name should end in ".ome.tif".
        mask: (H, W), gland where not 0; some tiles of it are held at a time.
        um_per_px: Micrometres per mask pixel.

    Raises:
        BadInputError: The pixel size is not a finite number above 0.
    """
    if not (um_per_px > 0 and math.isfinite(um_per_px)):
        raise BadInputError(f"{path.name}: um_per_px must be a number above 0, got {um_per_px}")
    levels, big = count_levels(mask.shape), math.prod(mask.shape) >= _BIG_BYTES
    with (
        contextlib.ExitStack() as stack,
        TiffWriter(path, bigtiff=big, byteorder="<", ome=False, shaped=False) as tiff,
    ):
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=path.parent)))
        for level in range(levels):
            next_shape = ((side + 1) // 2 for side in mask.shape)
            smaller = stack.enter_context(TileMap(folder / str(level), *next_shape))
            px_per_cm = 1e4 / (um_per_px * 2**level)
            tiff.write(
                _list_tiles(mask, smaller),
                shape=mask.shape,
                description=_describe(mask.shape, um_per_px) if level == 0 else None,
                subifds=levels - 1 if level == 0 else None,
                subfiletype=int(level > 0),
                resolution=(px_per_cm, px_per_cm),
                **_OPTIONS,
            )
            mask = smaller


def count_levels(shape_hw: tuple[int, ...]) -> int:
    """Returns the number of levels, full size included, until the longer side is at most 512 px."""
    return 1 + max(0, math.ceil(math.log2(max(shape_hw) / TILE)))


def _describe(shape_hw: tuple[int, ...], um_per_px: float) -> bytes:
    return _OME.format(height=shape_hw[0], width=shape_hw[1], um=f"{um_per_px:.6g}").encode()


def _list_tiles(mask: TileMap, smaller: TileMap) -> Iterator[bytes]:
    """Gives a level's tiles, compressed, and lays down the level of half the size meanwhile."""
    height, width = mask.shape
    for top in range(0, height, TILE):
        for left in range(0, width, TILE):
            part = mask.read(top, left, min(top + TILE, height), min(left + TILE, width))
            if not part.any():
                yield _EMPTY
                continue
            tile = np.zeros((TILE, TILE), np.uint8)
            tile[: part.shape[0], : part.shape[1]] = (part != 0) * np.uint8(255)
            rows, columns = (-(-side // 2) for side in part.shape)
            smaller.write(top // 2, left // 2, _halve(tile)[:rows, :columns])
            yield _compress(tile)


def _compress(tile: NDArray[np.uint8]) -> bytes:
    return zlib.compress(tile.tobytes(), 6)


def _halve(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halves a tile by majority of four; the upper left breaks a tie, so that areas keep their size."""
    gland = tile >> 7
    corner = gland[::2, ::2]
    votes = 2 * (corner + gland[1::2, ::2] + gland[::2, 1::2] + gland[1::2, 1::2]) + corner
    return np.where(votes > 4, 255, 0).astype(np.uint8)


_EMPTY = _compress(np.zeros((TILE, TILE), np.uint8))
