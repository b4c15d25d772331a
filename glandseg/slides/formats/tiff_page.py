"""Rectangles of one TIFF page; only the tiles or strips that they touch are decoded."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.slides.cache import ArrayCache
from glandseg.slides.formats.codec_size import SIZE_READERS
from glandseg.slides.formats.jpeg import JPEG_END, find_jpeg_fault
from glandseg.slides.formats.tiff_layout import SegmentLayout
from glandseg.slides.formats.tiff_samples import (
    APERIO_YCBCR,
    JPEG_COMPRESSIONS,
    convert_stored_ycbcr,
    find_white,
)

JPEG = 7
JPEG_PADDING = 16  # bytes that may follow a JPEG's end marker
SPARE_CODED_BYTES = 1 << 20  # of a coded segment, beyond twice the bytes that it is decoded to

ReadBytes = Callable[[int, int], bytes]  # offset, count


class TiffPageReader:
    """Reader of a page's samples: contiguous data row by row, others segment by segment.

    A segment is TIFF's tile or strip. Safe for threads. Segments that a sparse TIFF does not store are white;
    one with an offset but no bytes, or bytes but no offset, is damaged.

    Args:
        page: Page of the TIFF.
        cache: Cache of decoded segments.
        count: Called with the number of px decoded.
    """

    def __init__(
        self, page: tifffile.TiffPage, cache: ArrayCache, count: Callable[[int], None] = lambda px: None
    ) -> None:
        self.page = page
        self.layout = SegmentLayout(page)
        self._cache = cache
        self._count = count
        self._bad: dict[int, str] = {}  # segments that failed with a new handle too
        self._white = find_white(page)
        if page.compression == APERIO_YCBCR:
            page.subsampling = (1, 1)  # the codec undoes it, and tifffile refuses any other
        self._turn: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if self.layout.segment_bytes > cache.max_bytes // 2 else contextlib.nullcontext()
        )  # large segments are decoded one after the other, which bounds memory
        self._tables = (
            {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
            if page.compression in JPEG_COMPRESSIONS
            else {}
        )

    def read(
        self, read_bytes: ReadBytes, x: int, y: int, width: int, height: int, *, last_try: bool = False
    ) -> NDArray[Any]:
        """Read (height, width, samples) in the page's dtype, owned by the caller.

        Args:
            read_bytes: Called with (offset, count); returns bytes of the file.
            x: Left edge in px; likewise the others.
            y: Top edge.
            width: Width.
            height: Height.
            last_try: Whether to remember segments that cannot be decoded, and not to retry them.

        Raises:
            Exception: Whatever a codec raises on damaged data, or the drive.
        """
        if self.layout.is_contiguous:
            return self._read_rows(read_bytes, x, y, width, height)
        layout = self.layout
        region = np.full((height, width, layout.samples), self._white, self.page.dtype)
        for plane, row, column in self._list_segments(x, y, width, height):
            segment = self._get_segment(read_bytes, plane, row, column, last_try)
            if segment.size:
                channels = slice(plane, plane + 1) if layout.planes > 1 else slice(None)
                left, top = column * layout.segment_width - x, row * layout.segment_height - y
                paste(region[..., channels], segment, left, top)
        return region

    def _read_rows(self, read_bytes: ReadBytes, x: int, y: int, width: int, height: int) -> NDArray[Any]:
        """Read uncompressed px; not mapped into memory, as a failing drive would then kill the process."""
        page, layout = self.page, self.layout
        per_plane, dtype = layout.samples // layout.planes, np.dtype(page.parent.byteorder + page.dtype.char)
        region = np.empty((height, width, layout.samples), page.dtype)
        for plane in range(layout.planes):
            channels = slice(plane, plane + 1) if layout.planes > 1 else slice(None)
            for row in range(height):
                px = (plane * layout.height + y + row) * layout.width + x
                offset = page.dataoffsets[0] + px * per_plane * dtype.itemsize
                stored = np.frombuffer(read_bytes(offset, width * per_plane * dtype.itemsize), dtype)
                region[row, :, channels] = stored.reshape(width, per_plane)
        self._count(width * height)
        return region

    def _list_segments(self, x: int, y: int, width: int, height: int) -> Iterator[tuple[int, int, int]]:
        layout = self.layout
        rows = range(y // layout.segment_height, -(-(y + height) // layout.segment_height))
        columns = range(x // layout.segment_width, -(-(x + width) // layout.segment_width))
        return ((p, r, c) for p in range(layout.planes) for r in rows for c in columns)

    def _get_segment(
        self, read_bytes: ReadBytes, plane: int, row: int, column: int, last_try: bool
    ) -> NDArray[Any]:
        index = (plane * self.layout.rows + row) * self.layout.columns + column
        if index in self._bad:
            raise ValueError(self._bad[index])
        try:
            return self._cache.get((self.page.offset, index), lambda: self._decode(read_bytes, index))
        except (OSError, MemoryError):
            raise
        except Exception as error:
            if last_try:
                self._bad[index] = str(error)
            raise

    def _decode(self, read_bytes: ReadBytes, index: int) -> NDArray[Any]:
        """Decode a segment, (height, width, samples); empty if the file does not store it."""
        page = self.page
        count, offset = int(page.databytecounts[index]), int(page.dataoffsets[index])
        if count == 0 and offset == 0:
            return np.empty(0, page.dtype)
        with self._turn:
            self._check_place(offset, count)
            data = read_bytes(offset, count)
            self._check_header(data)
            decoded: NDArray[Any] = page.decode(data, index, **self._tables)[0]
        if decoded.dtype.newbyteorder("=") != page.dtype.newbyteorder("="):
            raise ValueError(f"a tile or strip holds {decoded.dtype}, where its tags say {page.dtype}")
        self._count(decoded.shape[-3] * decoded.shape[-2] // self.layout.planes)
        return convert_stored_ycbcr(page, np.asarray(decoded[0]))

    def _check_place(self, offset: int, count: int) -> None:
        """Check that a segment lies inside the file and can need its bytes."""
        if count <= 0 or offset <= 0:
            raise ValueError(f"its tags say {count:,} bytes at byte {offset:,}, which cannot be")
        file_bytes = self.page.parent.filehandle.size
        if offset + count > file_bytes:
            raise EOFError(f"the file ends {offset + count - file_bytes:,} bytes early")
        if count > 2 * self.layout.segment_bytes + SPARE_CODED_BYTES:
            raise ValueError(f"its tags say {count:,} bytes, more than a tile or strip can need")

    def _check_header(self, data: bytes) -> None:
        """Check that a codec's own header announces no more than a segment holds, before it is decoded."""
        page, layout = self.page, self.layout
        if page.compression == JPEG and JPEG_END not in data[-JPEG_PADDING:]:
            raise ValueError("a JPEG's end is missing")  # its decoder would fill with gray
        if page.compression not in SIZE_READERS or (
            page.jpegheader and page.compression in JPEG_COMPRESSIONS
        ):
            return
        size = SIZE_READERS[page.compression](data)
        limits = (layout.segment_width, layout.segment_height, max(layout.samples, 4))
        if size.width > limits[0] or size.height > limits[1] or size.components > limits[2]:
            raise ValueError(
                f"a tile or strip holds {size.width:,} x {size.height:,} px, "
                f"where its tags say {limits[0]:,} x {limits[1]:,} px"
            )
        if page.compression == JPEG and (fault := find_jpeg_fault(data, page.jpegtables or b"")):
            raise ValueError(fault)


def paste(region: NDArray[Any], segment: NDArray[Any], left: int, top: int) -> None:
    """Copy the part of a segment that lies in a region, the segment's corner being at (left, top)."""
    y0, x0 = max(top, 0), max(left, 0)
    y1 = min(top + segment.shape[0], region.shape[0])
    x1 = min(left + segment.shape[1], region.shape[1])
    region[y0:y1, x0:x1] = segment[y0 - top : y1 - top, x0 - left : x1 - left]
