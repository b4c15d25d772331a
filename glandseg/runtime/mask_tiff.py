"""The mask as a pyramidal OME-TIFF: 255 is gland, 0 is not, at every level.

Grey 255 rather than label 1, so that every viewer shows the mask at once; as there are only the two
values, "above 0" reads it as labels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffWriter

from glandseg.runtime.errors import BadInputError

TILE = 512
_BIG_BYTES = 1 << 31  # from this size of raw pixels on, 64-bit offsets
_BUFFER_BYTES = 1 << 24  # tiles held while their compression runs
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


def write_mask(path: Path, mask: NDArray[np.bool_] | NDArray[np.uint8], um_per_px: float) -> None:
    """Writes a mask tile by tile, with half-size SubIFD levels down to 512 px; same mask, same bytes.

    Args:
        path: The file; its name should end in ".ome.tif".
        mask: (H, W) bool or uint8, gland where not 0; may be a memory map, of which one tile's area is
            read at a time.
        um_per_px: Micrometres per mask pixel.

    Raises:
        BadInputError: The mask has no pixel, or the pixel size is not a finite number above 0.
        ValueError: The mask is not (H, W).
    """
    _check(path, mask, um_per_px)
    levels = count_levels(mask.shape)
    options: dict[str, Any] = {
        "tile": (TILE, TILE),
        "dtype": np.uint8,
        "photometric": "minisblack",
        "compression": "zlib",
        "compressionargs": {"level": 6},
        "metadata": None,
        "software": False,
        "resolutionunit": "CENTIMETER",
        "buffersize": _BUFFER_BYTES,
    }
    with TiffWriter(path, bigtiff=mask.size >= _BIG_BYTES, byteorder="<", ome=False, shaped=False) as tiff:
        for level in range(levels):
            px_per_cm = 1e4 / (um_per_px * 2**level)
            tiff.write(
                _list_tiles(mask, level),
                shape=_find_shape(mask.shape, level),
                description=_describe(mask.shape, um_per_px) if level == 0 else None,
                subifds=levels - 1 if level == 0 else None,
                subfiletype=int(level > 0),
                resolution=(px_per_cm, px_per_cm),
                **options,
            )


def count_levels(shape_hw: tuple[int, ...]) -> int:
    """Returns the number of levels, full size included, until the longer side is at most 512 px."""
    return 1 + max(0, math.ceil(math.log2(max(shape_hw) / TILE)))


def _check(path: Path, mask: NDArray[Any], um_per_px: float) -> None:
    if mask.ndim != 2:
        raise ValueError(f"mask: must be (H, W), got {mask.shape}")
    if mask.size == 0:
        raise BadInputError(f"{path.name}: a mask needs at least one pixel, got {mask.shape}")
    if not (um_per_px > 0 and math.isfinite(um_per_px)):
        raise BadInputError(f"{path.name}: um_per_px must be a number above 0, got {um_per_px}")


def _describe(shape_hw: tuple[int, ...], um_per_px: float) -> bytes:
    return _OME.format(height=shape_hw[0], width=shape_hw[1], um=f"{um_per_px:.6g}").encode()


def _find_shape(shape_hw: tuple[int, ...], level: int) -> tuple[int, int]:
    return -(-shape_hw[0] >> level), -(-shape_hw[1] >> level)


def _list_tiles(mask: NDArray[Any], level: int) -> Iterator[NDArray[np.uint8]]:
    height, width = _find_shape(mask.shape, level)
    for row in range(-(-height // TILE)):
        for column in range(-(-width // TILE)):
            yield _reduce_tile(mask, level, row, column)


def _reduce_tile(mask: NDArray[Any], level: int, row: int, column: int) -> NDArray[np.uint8]:
    """Returns a (512, 512) uint8 tile, 0 or 255, made from the four tiles below it; no level is stored."""
    tile = np.zeros((TILE, TILE), np.uint8)
    if level == 0:
        part = mask[row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE]
        tile[: part.shape[0], : part.shape[1]] = (part != 0) * np.uint8(255)
        return tile
    height, width = _find_shape(mask.shape, level - 1)
    half = TILE // 2
    for below in range(2 * row, min(2 * row + 2, -(-height // TILE))):
        for beside in range(2 * column, min(2 * column + 2, -(-width // TILE))):
            y, x = half * (below % 2), half * (beside % 2)
            tile[y : y + half, x : x + half] = _halve(_reduce_tile(mask, level - 1, below, beside))
    return tile


def _halve(tile: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Halves a tile by majority of four; the upper left breaks a tie, so that areas keep their size."""
    gland = tile >> 7
    corner = gland[::2, ::2]
    votes = 2 * (corner + gland[1::2, ::2] + gland[::2, 1::2] + gland[1::2, 1::2]) + corner
    return np.where(votes > 4, 255, 0).astype(np.uint8)
