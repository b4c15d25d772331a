"""How a TIFF page is divided into tiles or strips."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import tifffile

SEPARATE_PLANES = 2  # of the tag PlanarConfiguration


class SegmentLayout:
    """Division of a page into segments: TIFF's tiles or strips.

    Attributes:
        width: Width of the page, in px; likewise `height`.
        samples: Samples per px.
        planes: Number of planes stored separately, each with its own segments.
        segment_width: Width of a segment, in px; likewise `segment_height`.
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
        """Number of segments in a row."""
        return -(-self.width // self.segment_width)

    @cached_property
    def rows(self) -> int:
        """Number of rows of segments."""
        return -(-self.height // self.segment_height)

    @cached_property
    def segment_bytes(self) -> int:
        """Bytes of a decoded segment."""
        px = self.segment_width * self.segment_height
        return int(px * (self.samples // self.planes) * np.dtype(self._page.dtype).itemsize)

    @cached_property
    def is_contiguous(self) -> bool:
        """Whether the file stores plain samples row after row, so that any row can be read alone."""
        return bool(self._page.is_memmappable)

    @cached_property
    def held_bytes(self) -> int:
        """Bytes that reading holds at a time: a segment and, if there are several, its neighbour."""
        if self.is_contiguous:
            return 0
        return self.segment_bytes * min(self.columns * self.rows * self.planes, 2)
