"""Rectangles of one TIFF page, of which only the tiles or strips touched are decoded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.slides.cache import ArrayCache
from glandseg.runtime.slides.jpeg_fault import find_jpeg_fault

JPEG = 7
JPEG_COMPRESSIONS = {6, JPEG, 34892, 33007}
JPEG_END, JPEG_PADDING = b"\xff\xd9", 16  # a JPEG's last mark, and bytes that may follow it
SEPARATE_PLANES = 2
EMPTY_SEGMENT_VALUE = 255  # where a sparse TIFF stores nothing, as OpenSlide shows it

ReadBytes = Callable[[int, int], bytes]  # offset, count


class TiffPageReader:
    """Reads samples of a page: contiguous data row by row, others segment by segment.

    A segment is TIFF's tile or strip; `cache` keeps decoded ones for the next rectangle. Several threads may
    read at once. A JPEG damaged inside, its marks in place, is not noticed by its decoder.

    Args:
        page: of the TIFF.
        cache: of decoded segments.
        count: is told how many px were decoded.
    """

    def __init__(
        self, page: tifffile.TiffPage, cache: ArrayCache, count: Callable[[int], None] = lambda px: None
    ) -> None:
        self._page = page
        self._cache = cache
        self._count = count
        self._bad: dict[int, str] = {}  # segments that failed with a new handle too
        self.width = int(page.imagewidth)
        self.height = int(page.imagelength)
        self.samples = int(page.samplesperpixel)
        self._planes = self.samples if page.planarconfig == SEPARATE_PLANES else 1
        self.segment_width = int(page.tilewidth if page.is_tiled else page.imagewidth)
        self.segment_height = int(page.tilelength if page.is_tiled else min(page.rowsperstrip, self.height))
        self.is_contiguous = bool(page.is_memmappable)
        self._columns = -(-self.width // self.segment_width)
        self._rows = -(-self.height // self.segment_height)
        self._tables = (
            {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
            if page.compression in JPEG_COMPRESSIONS
            else {}
        )

    def read(
        self, read_bytes: ReadBytes, x: int, y: int, width: int, height: int, *, last_try: bool = False
    ) -> NDArray[Any]:
        """(height, width, samples) in the page's own sample type, the caller's own.

        Args:
            read_bytes: of the file.
            x: left edge in px; likewise the others.
            y: top edge.
            width: of the rectangle.
            height: of the rectangle.
            last_try: remember segments that cannot be decoded, and do not try them again.

        Raises:
            Exception: whatever a codec raises on damaged data, or the drive.
        """
        if self.is_contiguous:
            return self._read_rows(read_bytes, x, y, width, height)
        region = np.full((height, width, self.samples), EMPTY_SEGMENT_VALUE, self._page.dtype)
        for plane, row, column in self._list_segments(x, y, width, height):
            segment = self._get_segment(read_bytes, plane, row, column, last_try)
            if segment.size:
                channels = slice(plane, plane + 1) if self._planes > 1 else slice(None)
                left, top = column * self.segment_width - x, row * self.segment_height - y
                paste(region[..., channels], segment, left, top)
        return region

    def _read_rows(self, read_bytes: ReadBytes, x: int, y: int, width: int, height: int) -> NDArray[Any]:
        """Uncompressed px, all in one stretch of the file; not mapped, as a failing drive would kill us."""
        page, per_plane = self._page, self.samples // self._planes
        dtype = np.dtype(page.parent.byteorder + page.dtype.char)
        region = np.empty((height, width, self.samples), page.dtype)
        for plane in range(self._planes):
            channels = slice(plane, plane + 1) if self._planes > 1 else slice(None)
            for row in range(height):
                px = (plane * self.height + y + row) * self.width + x
                offset = page.dataoffsets[0] + px * per_plane * dtype.itemsize
                stored = np.frombuffer(read_bytes(offset, width * per_plane * dtype.itemsize), dtype)
                region[row, :, channels] = stored.reshape(width, per_plane)
        self._count(width * height)
        return region

    def _list_segments(self, x: int, y: int, width: int, height: int) -> Iterator[tuple[int, int, int]]:
        rows = range(y // self.segment_height, -(-(y + height) // self.segment_height))
        columns = range(x // self.segment_width, -(-(x + width) // self.segment_width))
        return ((p, r, c) for p in range(self._planes) for r in rows for c in columns)

    def _get_segment(
        self, read_bytes: ReadBytes, plane: int, row: int, column: int, last_try: bool
    ) -> NDArray[Any]:
        index = (plane * self._rows + row) * self._columns + column
        if index in self._bad:
            raise ValueError(self._bad[index])
        try:
            return self._cache.get((self._page.offset, index), lambda: self._decode(read_bytes, index))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            if last_try:
                self._bad[index] = str(error)
            raise

    def _decode(self, read_bytes: ReadBytes, index: int) -> NDArray[Any]:
        """(height, width, samples) of a segment; an empty array where the file stores none."""
        page = self._page
        count, offset = page.databytecounts[index], page.dataoffsets[index]
        if count == 0:
            return np.empty(0, page.dtype)
        data = read_bytes(offset, count)
        if page.compression == JPEG and JPEG_END not in data[-JPEG_PADDING:]:
            raise ValueError("a JPEG's end is missing")  # which its decoder would fill with gray
        if page.compression == JPEG and (fault := find_jpeg_fault(data, page.jpegtables or b"")):
            raise ValueError(fault)
        decoded: NDArray[Any] = page.decode(data, index, **self._tables)[0]
        self._count(decoded.shape[-3] * decoded.shape[-2] // self._planes)
        return np.asarray(decoded[0])


def paste(region: NDArray[Any], segment: NDArray[Any], left: int, top: int) -> None:
    """Copy the part of a segment that lies in a region, the segment's corner being at (left, top)."""
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + segment.shape[0], region.shape[0])
    x1 = min(left + segment.shape[1], region.shape[1])
    region[y0:y1, x0:x1] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
