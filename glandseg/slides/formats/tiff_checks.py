"""Checks that a TIFF page's tags agree with each other and with the bytes of its file.

One damaged byte in a size makes an image of 2**32 px, or makes a smaller copy the slide. The tags must list
as many tiles or strips as the size needs, and the file must hold their bytes.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.slides.formats.tiff_layout import SegmentLayout

WHOLE_NUMBERS = {1, 3, 4, 16}  # types BYTE, SHORT, LONG and LONG8
ESSENTIAL = {  # tags with defaults, with which the same bytes would make other px
    256: "ImageWidth",
    257: "ImageLength",
    258: "BitsPerSample",
    259: "Compression",
    262: "PhotometricInterpretation",
    277: "SamplesPerPixel",
    278: "RowsPerStrip",
    284: "PlanarConfiguration",
    317: "Predictor",
    322: "TileWidth",
    323: "TileLength",
    338: "ExtraSamples",
    339: "SampleFormat",
}
OFFSETS, BYTE_COUNTS = (324, 273, 513), (325, 279, 514)  # of tiles, strips, old JPEG
ROWS_PER_STRIP = 278
MIN_IN_FILE = 0.1  # share of the stored bytes that the file must hold
MANY_SEGMENTS, MIN_SEGMENT_PX = 1 << 16, 64
MAX_PX_PER_BYTE = 1_000_000  # of a file: even tiles that are not stored take 8 bytes of tags each


def find_layout_problem(page: tifffile.TiffPage) -> str | None:
    """Return what in a page's tags cannot be true; None if nothing."""
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
    if needed > MANY_SEGMENTS and layout.segment_width * layout.segment_height < MIN_SEGMENT_PX:
        return (
            f"its {kind} are {layout.segment_width} x {layout.segment_height} px, "
            f"and with over {MANY_SEGMENTS:,} of them, {MIN_SEGMENT_PX} px are the least"
        )
    return find_raw_size_problem(page, layout) or find_lack_of_bytes(page, layout)


def find_raw_size_problem(page: tifffile.TiffPage, layout: SegmentLayout) -> str | None:
    """Return the fault of uncompressed tiles or strips with more or fewer bytes than their size needs."""
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
    """Return the fault of tiles or strips that overlap others or the tags; identical ones may be shared."""
    starts, first = np.unique(offsets[counts > 0], return_index=True)
    ends = starts + counts[counts > 0][first]
    before = np.searchsorted(starts, tags, side="right") - 1
    covers_tags = (before >= 0) & (tags < ends[before])
    if (starts[1:] >= ends[:-1]).all() and not covers_tags.any():
        return None
    return "its tags let tiles or strips begin within others, or within the tags themselves"


def find_lack_of_bytes(page: tifffile.TiffPage, layout: SegmentLayout) -> str | None:
    """Return the fault of a file that lacks nearly all bytes that the tags list."""
    file_bytes = int(page.parent.filehandle.size)
    counts, offsets = list_numbers(page.databytecounts), list_numbers(page.dataoffsets)
    px, stored = layout.width * layout.height, np.count_nonzero(counts)
    stated = f"its tags say {layout.width:,} x {layout.height:,} px"
    if not stored and not offsets.any():
        return f"{stated}, but the file stores none of them"
    held = np.clip((file_bytes - offsets) / np.maximum(counts, 1), 0, 1)
    share = held.sum() if layout.is_contiguous else np.count_nonzero(held == 1)
    if share < MIN_IN_FILE * stored:
        return f"{stated} and {counts.sum():,.0f} bytes, but the file has {file_bytes:,} bytes"
    if px > MAX_PX_PER_BYTE * file_bytes:
        return f"{stated}, but the file has {file_bytes:,} bytes"
    return None


def list_numbers(values: Any) -> NDArray[np.float64]:
    """Convert offsets or byte counts to (N,) float64, which cannot overflow."""
    return np.asarray(values, np.float64).reshape(-1)


def count_values(page: tifffile.TiffPage, codes: tuple[int, ...]) -> int:
    """Count the values of the first of these tags in a page; tifffile truncates its own lists."""
    return next((int(page.tags[code].count) for code in codes if code in page.tags), 0)


def count_stored_pixels(page: tifffile.TiffPage) -> int:
    """Return a page's px by its size or, if that is damaged, by its segments."""
    size = int(page.imagewidth) * int(page.imagelength)
    if not page.is_tiled:
        rows = page.tags.valueof(ROWS_PER_STRIP, page.imagelength)
        rows = int(rows) if isinstance(rows, int) and rows < 1 << 24 else int(page.imagelength)
        return max(size, count_values(page, OFFSETS) * rows * int(page.imagewidth))
    return max(size, count_values(page, OFFSETS) * int(page.tilewidth) * int(page.tilelength))


def find_tag_problem(page: tifffile.TiffPage) -> str | None:
    """Return the fault of an essential tag that cannot be read: tifffile skips it, as if absent."""
    for code, kind in list_entries(page):
        if code in ESSENTIAL and (code not in page.tags or kind not in WHOLE_NUMBERS):
            return f"its tag {ESSENTIAL[code]} cannot be read"
    if page.planarconfig not in (1, 2):
        return f"its tag PlanarConfiguration says {page.planarconfig}, where 1 and 2 are known"
    return None


def list_entries(page: tifffile.TiffPage) -> list[tuple[int, int]]:
    """List code and type of each tag, as stored."""
    layout, file = page.parent.tiff, page.parent.filehandle
    file.seek(page.offset)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    data = file.read(count * layout.tagsize)
    heads = (data[i : i + 4] for i in range(0, len(data) - layout.tagsize + 1, layout.tagsize))
    return [struct.unpack(layout.byteorder + "HH", head) for head in heads]


def check_chain(tiff: tifffile.TiffFile) -> None:
    """Check that no page lies beyond the end of the file, which tifffile only logs.

    Raises:
        EOFError: One does, or there is none.
    """
    layout, file = tiff.tiff, tiff.filehandle
    if not len(tiff.pages):
        raise EOFError(f"none of its pages begins within its {file.size:,} bytes")
    file.seek(tiff.pages[-1].offset)
    (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    file.seek(tags * layout.tagsize, 1)
    (following,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))
    if following >= file.size:
        raise EOFError(f"its next page would begin at byte {following:,} of {file.size:,}")
