"""Whether a TIFF page's tags agree with each other and with the bytes of its file.

One damaged byte in a size makes an image of 2**32 px, or lets a smaller copy pass for the slide. As many
tiles or strips as the size needs must be listed by the tags, and the file must hold their bytes.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.slides.formats.tiff_tags import find_tag_problem

SEPARATE_PLANES = 2
OFFSETS, BYTE_COUNTS = (324, 273, 513), (325, 279, 514)  # of tiles, strips, old JPEG
ROWS_PER_STRIP = 278
LEAST_IN_FILE = 0.1  # share of the stored bytes that the file must still hold
MANY_SEGMENTS, LEAST_SEGMENT_PX = 1 << 16, 64
MOST_PX_PER_BYTE = 1_000_000  # of a file; tiles that are not stored still take 8 bytes of tags each


class SegmentLayout:
    """How a page is divided into segments: TIFF's tiles or strips.

    Attributes:
        width: of the page, in px; likewise `height`.
        samples: per px.
        planes: stored one after the other, each with segments of its own.
        segment_width: in px; likewise `segment_height`.
    """

    def __init__(self, page: tifffile.TiffPage) -> None:
        self._page = page
        self.width, self.height = int(page.imagewidth), int(page.imagelength)
        self.samples = int(page.samplesperpixel)
        self.planes = self.samples if page.planarconfig == SEPARATE_PLANES else 1
        self.segment_width = int(page.tilewidth if page.is_tiled else page.imagewidth)
        self.segment_height = int(page.tilelength if page.is_tiled else min(page.rowsperstrip, self.height))

    @cached_property
    def columns(self) -> int:
        """Segments side by side."""
        return -(-self.width // self.segment_width)

    @cached_property
    def rows(self) -> int:
        """Segments below each other."""
        return -(-self.height // self.segment_height)

    @cached_property
    def segment_bytes(self) -> int:
        """Bytes of a decoded segment."""
        px = self.segment_width * self.segment_height
        return int(px * (self.samples // self.planes) * np.dtype(self._page.dtype).itemsize)

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether the samples lie in the file as they are, row after row, so that any row can be read."""
        return bool(self._page.is_memmappable)

    @cached_property
    def held_bytes(self) -> int:
        """Bytes that reading takes at once: a segment, and with several the next beside it."""
        if self.is_contiguous:
            return 0
        return self.segment_bytes * min(self.columns * self.rows * self.planes, 2)


def find_layout_problem(page: tifffile.TiffPage) -> str | None:
    """Find what in a page's tags cannot be true, in words; None if nothing."""
    problem = find_tag_problem(page)
    if problem:
        return problem
    if page.imagewidth < 1 or page.imagelength < 1:
        return f"its tags say {page.imagewidth} x {page.imagelength} px"
    layout = SegmentLayout(page)
    if layout.segment_width < 1 or layout.segment_height < 1:
        return f"its tags say tiles of {layout.segment_width} x {layout.segment_height} px"
    needed = layout.columns * layout.rows * layout.planes
    listed = max(count_values(page, OFFSETS), len(page.dataoffsets))
    counted = max(count_values(page, BYTE_COUNTS), len(page.databytecounts))
    kind = "tiles" if page.is_tiled else "strips"
    if needed != listed or needed != counted:
        return (
            f"its tags say {layout.width:,} x {layout.height:,} px, which are {needed:,} {kind}, "
            f"but list {min(listed, counted):,}"
        )
    if needed > MANY_SEGMENTS and layout.segment_width * layout.segment_height < LEAST_SEGMENT_PX:
        return (
            f"its {kind} are {layout.segment_width} x {layout.segment_height} px, "
            f"and with over {MANY_SEGMENTS:,} of them, {LEAST_SEGMENT_PX} px are the least"
        )
    return find_raw_size_problem(page, layout) or find_lack_of_bytes(page, layout)


def find_raw_size_problem(page: tifffile.TiffPage, layout: SegmentLayout) -> str | None:
    """Find whether uncompressed tiles or strips have other bytes than their size needs."""
    if page.compression != 1 or page.bitspersample not in (8, 16):
        return None
    counts, whole = list_numbers(page.databytecounts), layout.segment_bytes
    last_rows = layout.height - (layout.rows - 1) * layout.segment_height
    last = whole if page.is_tiled else whole // layout.segment_height * last_rows
    is_last = np.arange(len(counts)) % layout.rows == layout.rows - 1
    is_sound = np.isin(counts, (0, whole)) | (is_last & (counts == last) if not page.is_tiled else False)
    if is_sound.all():
        tags = [at for tag in page.tags.values() for at in (tag.offset, tag.valueoffset)]
        return find_overlap(list_numbers(page.dataoffsets), counts, list_numbers(tags))
    return (
        f"its tags say tiles or strips of {layout.segment_width:,} x {layout.segment_height:,} px, which "
        f"take {whole:,} bytes each, but list {counts[~is_sound][0]:,.0f}"
    )


def find_overlap(
    offsets: NDArray[np.float64], counts: NDArray[np.float64], tags: NDArray[np.float64]
) -> str | None:
    """Find whether tiles or strips lie over others or over tags; the same bytes may be shared."""
    starts, first = np.unique(offsets[counts > 0], return_index=True)
    ends = starts + counts[counts > 0][first]
    before = np.searchsorted(starts, tags, side="right") - 1
    covers_tags = (before >= 0) & (tags < ends[before])
    if (starts[1:] >= ends[:-1]).all() and not covers_tags.any():
        return None
    return "its tags let tiles or strips begin within others, or within the tags themselves"


def find_lack_of_bytes(page: tifffile.TiffPage, layout: SegmentLayout) -> str | None:
    """Find whether the file holds next to nothing of what the tags list."""
    file_bytes = int(page.parent.filehandle.size)
    counts, offsets = list_numbers(page.databytecounts), list_numbers(page.dataoffsets)
    px, stored = layout.width * layout.height, np.count_nonzero(counts)
    told = f"its tags say {layout.width:,} x {layout.height:,} px"
    if not stored and not offsets.any():
        return f"{told}, but the file stores none of them"
    held = np.clip((file_bytes - offsets) / np.maximum(counts, 1), 0, 1)
    share = held.sum() if layout.is_contiguous else np.count_nonzero(held == 1)
    if share < LEAST_IN_FILE * stored:
        return f"{told} and {counts.sum():,.0f} bytes, but the file has {file_bytes:,} bytes"
    if px > MOST_PX_PER_BYTE * file_bytes:
        return f"{told}, but the file has {file_bytes:,} bytes"
    return None


def list_numbers(values: Any) -> NDArray[np.float64]:
    """Return offsets or byte counts as floats, (N,) float64, which hold more than any file has."""
    return np.asarray(values, np.float64).reshape(-1)


def count_values(page: tifffile.TiffPage, codes: tuple[int, ...]) -> int:
    """Count the values of the first of these tags that a page has; tifffile cuts its own lists to size."""
    return next((int(page.tags[code].count) for code in codes if code in page.tags), 0)


def measure_stored_pixels(page: tifffile.TiffPage) -> int:
    """Return the px that a page's tags bear out: by its size or, where that is damaged, by its segments."""
    size = int(page.imagewidth) * int(page.imagelength)
    if not page.is_tiled:
        rows = page.tags.valueof(ROWS_PER_STRIP, page.imagelength)
        rows = int(rows) if isinstance(rows, int) and rows < 1 << 24 else int(page.imagelength)
        return max(size, count_values(page, OFFSETS) * rows * int(page.imagewidth))
    return max(size, count_values(page, OFFSETS) * int(page.tilewidth) * int(page.tilelength))
