"""The truth of a mosaic slide: its glands at any um/px, as a tiled mask."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from benchmarks.mosaic_layout import Mosaic

TRUTH_TILE_PX = 512
ROUNDING = 0.01  # as when a slide is read at the model's um/px


def write_truth(path: Path, mosaic: Mosaic, um_per_px: float) -> None:
    """Write the mask of the glands at a um/px, 255 in a tiled TIFF; each px by its centre."""
    side = truth_side(mosaic, um_per_px)
    tile = (TRUTH_TILE_PX, TRUTH_TILE_PX)
    tiles = _list_truth(mosaic, um_per_px)
    with tifffile.TiffWriter(path, bigtiff=True) as tiff:
        tiff.write(tiles, shape=(side, side), dtype=np.uint8, tile=tile, compression="zlib", metadata=None)


def truth_side(mosaic: Mosaic, um_per_px: float) -> int:
    """Return the side of the slide in px of a um/px."""
    return max(math.ceil(mosaic.side_px * mosaic.tissue.um_per_px / um_per_px - ROUNDING), 1)


def _list_truth(mosaic: Mosaic, um_per_px: float) -> Iterator[NDArray[np.uint8]]:
    side, factor = truth_side(mosaic, um_per_px), um_per_px / mosaic.tissue.um_per_px
    centres = ((np.arange(side) + 0.5) * factor).astype(np.int64).clip(max=mosaic.side_px - 1)
    parts = [centres[first : first + TRUTH_TILE_PX] for first in range(0, side, TRUTH_TILE_PX)]
    for rows in parts:
        for columns in parts:
            tile = np.zeros((TRUTH_TILE_PX, TRUTH_TILE_PX), np.uint8)
            tile[: len(rows), : len(columns)] = mosaic.read_truth(rows, columns)
            yield tile
