"""Rectangles of one TIFF page, of which only the tiles or strips touched are decoded."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.cache import ArrayCache

JPEG_COMPRESSIONS = {6, 7, 34892, 33007}
SEPARATE_PLANES = 2
EMPTY_SEGMENT_VALUE = 255  # where a sparse TIFF stores nothing, as OpenSlide shows it


class TiffPageReader:
    """Reads samples of a page: contiguous data by memory mapping, others segment by segment.

    A segment is TIFF's tile or strip; `cache` keeps decoded ones for the next rectangle.
    """

    def __init__(self, page: tifffile.TiffPage, cache: ArrayCache) -> None:
        self._page = page
        self._cache = cache
        self.width = int(page.imagewidth)
        self.height = int(page.imagelength)
        self.samples = int(page.samplesperpixel)
        self._planes = self.samples if page.planarconfig == SEPARATE_PLANES else 1
        self.segment_width = int(page.tilewidth if page.is_tiled else page.imagewidth)
        self.segment_height = int(page.tilelength if page.is_tiled else min(page.rowsperstrip, self.height))
        self._columns = -(-self.width // self.segment_width)
        self._rows = -(-self.height // self.segment_height)
        self._tables = (
            {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
            if page.compression in JPEG_COMPRESSIONS
            else {}
        )

    def read(self, x: int, y: int, width: int, height: int) -> NDArray[Any]:
        """(height, width, samples) in the page's own sample type, the caller's own.

        Raises:
            Exception: whatever tifffile or a codec raises on damaged data.
        """
        if self._page.is_memmappable:
            return self._read_mapped(x, y, width, height)
        dtype = self._page.dtype
        region = np.full((height, width, self.samples), EMPTY_SEGMENT_VALUE, dtype)
        for plane, row, column in self._list_segments(x, y, width, height):
            segment = self._get_segment(plane, row, column)
            if segment.size:
                channels = slice(plane, plane + 1) if self._planes > 1 else slice(None)
                left, top = column * self.segment_width - x, row * self.segment_height - y
                paste(region[..., channels], segment, left, top)
        return region

    def _read_mapped(self, x: int, y: int, width: int, height: int) -> NDArray[Any]:
        page = self._page
        planes_first = self._planes > 1
        size = (self.height, self.width)
        shape = (self.samples, *size) if planes_first else (*size, self.samples)
        data = np.memmap(
            page.parent.filehandle.path,
            np.dtype(page.parent.byteorder + page.dtype.char),
            "r",
            page.dataoffsets[0],
            shape,
        )
        pixels = np.moveaxis(data, 0, 2) if planes_first else data
        return np.array(pixels[y : y + height, x : x + width], page.dtype)

    def _list_segments(self, x: int, y: int, width: int, height: int) -> Iterator[tuple[int, int, int]]:
        rows = range(y // self.segment_height, -(-(y + height) // self.segment_height))
        columns = range(x // self.segment_width, -(-(x + width) // self.segment_width))
        return ((p, r, c) for p in range(self._planes) for r in rows for c in columns)

    def _get_segment(self, plane: int, row: int, column: int) -> NDArray[Any]:
        index = (plane * self._rows + row) * self._columns + column
        return self._cache.get((self._page.offset, index), lambda: self._decode(index))

    def _decode(self, index: int) -> NDArray[Any]:
        """(height, width, samples) of a segment; an empty array where the file stores none."""
        page = self._page
        count, offset = page.databytecounts[index], page.dataoffsets[index]
        if count == 0:
            return np.empty(0, page.dtype)
        file = page.parent.filehandle
        with file.lock:
            file.seek(offset)
            data = file.read(count)
        if len(data) < count:
            raise EOFError(f"the file ends inside segment {index}")
        decoded: NDArray[Any] = page.decode(data, index, **self._tables)[0]
        return np.asarray(decoded[0])


def paste(region: NDArray[Any], segment: NDArray[Any], left: int, top: int) -> None:
    """Copy the part of a segment that lies in a region, the segment's corner being at (left, top)."""
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + segment.shape[0], region.shape[0])
    x1 = min(left + segment.shape[1], region.shape[1])
    region[y0:y1, x0:x1] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
