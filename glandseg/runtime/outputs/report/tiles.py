"""The slide as JPEG tiles inside the page, down to the finest um/px that fits.

The levels halve. Those no finer than the thumbnail are made from it and cover the whole slide; the finer
ones are read from the slide, once, where there is tissue, in squares of which each yields its part of every
finer level. The finest level's size is estimated from a few tiles; should it not fit after all, what was
written is taken back and the next coarser level is tried.
"""

from __future__ import annotations

import base64
import itertools
import math
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future
from typing import IO, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.workers import STALL_S, Workers, await_result
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.outputs.report.images import encode_jpeg
from glandseg.slides.plane import TiledPlane

TILE_PX = 256
_MAX_BYTES_PX = 1.0  # of JPEG: more than tissue takes
_SAMPLES = 12  # tiles from which the size is estimated
_LEVELS_SHARE = 4 / 3  # of a level's bytes with those of all coarser ones
_TEXT_SHARE = 4 / 3  # of the bytes as base64
_SQUARES_AHEAD = 2  # per thread
_PAPER = 255

Tile = tuple[int, int, int, bytes]  # level (0 is the finest), column, row, JPEG


def write_tiles(file: IO[bytes], imagery: Imagery, um_per_px: float, max_bytes: float) -> dict[str, Any]:
    """Write the tiles of all levels as scripts that hold JPEG, and return how they are laid.

    Args:
        file: File to write, at its end.
        imagery: The slide; a level made from its thumbnail is written in any case.
        um_per_px: Size of the finest px wanted; a finer thumbnail is shown as it is.
        max_bytes: Maximum size of the text.

    Returns:
        Tile side, um per px of the finest level, its width and height, and the number of levels.
    """
    start, finest = file.tell(), min(um_per_px, imagery.thumbnail_um_per_px)
    first = _choose_first(imagery, finest, max_bytes) if finest < imagery.thumbnail_um_per_px else 0
    for step in itertools.count(first):
        pyramid = _Pyramid(imagery, finest * 2**step)
        if _write(file, pyramid.list_tiles(), start + max_bytes) or pyramid.levels == 1:
            break
        file.seek(start)
        file.truncate()
    return describe_levels(pyramid.um_per_px, pyramid.size_wh)


def describe_levels(um_per_px: float, size_wh: tuple[int, int]) -> dict[str, Any]:
    """Describe levels of tiles for the page, by the um/px and the size of the finest."""
    width, height = size_wh
    levels = count_levels(size_wh)
    return {"tile": TILE_PX, "um_per_px": um_per_px, "width": width, "height": height, "levels": levels}


def count_levels(size_wh: tuple[int, int]) -> int:
    """Return the number of levels of which each has half the size, the last being within one tile."""
    return 1 + max(0, math.ceil(math.log2(max(size_wh) / TILE_PX)))


def _choose_first(imagery: Imagery, um_per_px: float, max_bytes: float) -> int:
    """Estimate how often the px must be doubled for all tiles to fit, from some of the finest level."""
    tissue = imagery.tissue
    spots = np.argwhere(tissue.mask)
    whole_px = tissue.area_mm2 * 1e6 / um_per_px**2 * _LEVELS_SHARE * _TEXT_SHARE
    if whole_px * _MAX_BYTES_PX <= max_bytes:
        return 0
    plane = imagery.lay_plane(um_per_px)
    chosen = spots[np.linspace(0, len(spots) - 1, _SAMPLES).astype(int)] * (tissue.um_per_px / um_per_px)
    corners = {(int(x) // TILE_PX, int(y) // TILE_PX) for y, x in chosen}
    sizes = [
        len(encode_jpeg(plane.read(column * TILE_PX, row * TILE_PX, TILE_PX, TILE_PX)))
        for column, row in sorted(corners)
        if column * TILE_PX < plane.width_px and row * TILE_PX < plane.height_px
    ]
    per_px = sum(sizes) / (max(len(sizes), 1) * TILE_PX**2)
    return max(0, math.ceil(math.log(max(whole_px * per_px / max(max_bytes, 1), 1e-9), 4)))


def _write(file: IO[bytes], tiles: Iterator[Tile], end: float) -> bool:
    """Write tiles while the file stays below its end; return whether all were written."""
    for level, column, row, jpeg in tiles:
        text = base64.b64encode(jpeg)
        file.write(b'<script type="image/jpeg" class="tile" data-place="%d/%d/%d">' % (level, column, row))
        file.write(text + b"</script>\n")
        if file.tell() > end:
            return False
    return True


class _Pyramid:
    """Levels of a slide from a finest one on, each of half the size, the coarsest within one tile."""

    def __init__(self, imagery: Imagery, um_per_px: float) -> None:
        self._imagery, self.um_per_px = imagery, um_per_px
        scale = imagery.thumbnail_um_per_px / um_per_px
        self._plane = plane = imagery.lay_plane(um_per_px) if scale > 1 else None
        height, width = (max(1, round(side * scale)) for side in imagery.thumbnail.shape[:2])
        self.size_wh = (plane.width_px, plane.height_px) if plane else (width, height)
        self.levels = count_levels(self.size_wh)
        self._finer = min(self.levels, math.ceil(math.log2(scale))) if plane else 0

    def list_tiles(self) -> Iterator[Tile]:
        """Yield the tiles, those made from the thumbnail first."""
        for level in reversed(range(self._finer, self.levels)):
            width, height = (max(1, math.ceil(side / 2**level)) for side in self.size_wh)
            image = cv2.resize(self._imagery.thumbnail, (width, height), interpolation=cv2.INTER_AREA)
            yield from _cut(np.asarray(image, np.uint8), level, 0, 0)
        if self._plane:
            yield from self._read_squares(self._plane)

    def _read_squares(self, plane: TiledPlane) -> Iterator[Tile]:
        side = TILE_PX << (self._finer - 1)
        corners = itertools.product(range(0, plane.height_px, side), range(0, plane.width_px, side))
        with Workers("report", self._imagery.readers) as workers:
            reading: deque[Future[list[Tile]]] = deque()
            for y, x in corners:
                if self._covers(x, y, side):
                    reading.append(workers.submit(self._make_square, plane, x, y, side))
                if len(reading) > _SQUARES_AHEAD * self._imagery.readers:
                    yield from await_result(reading.popleft(), "reading the slide", STALL_S)
            for square in reading:
                yield from await_result(square, "reading the slide", STALL_S)

    def _make_square(self, plane: TiledPlane, x: int, y: int, side: int) -> list[Tile]:
        """Make the tiles of all finer levels in a square; those without tissue are left out."""
        width, height = min(side, plane.width_px - x), min(side, plane.height_px - y)
        image = np.full((height, width, 3), _PAPER, np.uint8)
        for top, left in itertools.product(range(0, height, TILE_PX), range(0, width, TILE_PX)):
            if self._covers(x + left, y + top, TILE_PX):
                part = image[top : top + TILE_PX, left : left + TILE_PX]
                part[:] = plane.read(x + left, y + top, part.shape[1], part.shape[0])
        tiles: list[Tile] = []
        for level in range(self._finer):
            column, row = (place // TILE_PX >> level for place in (x, y))
            tiles += (
                tile
                for tile in _cut(image, level, column, row)
                if self._covers(tile[1] * TILE_PX << level, tile[2] * TILE_PX << level, TILE_PX << level)
            )
            half = tuple(max(1, math.ceil(length / 2)) for length in (image.shape[1], image.shape[0]))
            image = np.asarray(cv2.resize(image, half, interpolation=cv2.INTER_AREA), np.uint8)
        return tiles

    def _covers(self, x: int, y: int, side: int) -> bool:
        return self._imagery.tissue.covers(*(value * self.um_per_px for value in (x, y, side, side)))


def _cut(image: NDArray[np.uint8], level: int, column: int, row: int) -> Iterator[Tile]:
    """Cut an image into JPEG tiles; its corner is that of the tile at (column, row)."""
    for y, x in itertools.product(range(0, image.shape[0], TILE_PX), range(0, image.shape[1], TILE_PX)):
        part = np.ascontiguousarray(image[y : y + TILE_PX, x : x + TILE_PX])
        yield level, column + x // TILE_PX, row + y // TILE_PX, encode_jpeg(part)
