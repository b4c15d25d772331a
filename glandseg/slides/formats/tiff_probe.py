"""Whether the first tile or strip of a page agrees with the page's tags.

A damaged width leaves the number of strips unchanged, and some decoders (LZW, LZMA) stop at the size that the
tags imply: every row would begin at another place, and nothing would fail. Nothing fails either where the
tags name another color model than the JPEGs themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import tifffile

from glandseg.slides.formats.codec_size import SIZE_READERS
from glandseg.slides.formats.jpeg import is_jpeg_ycbcr
from glandseg.slides.formats.tiff_layout import SEPARATE_PLANES, SegmentLayout
from glandseg.slides.formats.tiff_page import SPARE_CODED_BYTES
from glandseg.slides.formats.tiff_samples import JPEG_COMPRESSIONS, RGB, YCBCR

BYTE_CODECS = {5, 8, 32773, 32946, 34925, 34926, 50000}  # LZW, deflate, PackBits, LZMA, Zstandard
SPARE_BYTES, MAX_SPARE_BYTES = 4 << 20, 64 << 20  # decoded beyond a segment's size by its tags
HEADER_BYTES = 1 << 16  # of a JPEG, in which its frame header lies


def probe_page(page: tifffile.TiffPage, read_bytes: Callable[[int, int], bytes]) -> str | None:
    """Return how the first stored segment contradicts the tags; None if not, or if it is damaged.

    Args:
        page: Page of a valid layout and a known codec.
        read_bytes: Called with (offset, count); returns the bytes.
    """
    layout, compression = SegmentLayout(page), int(page.compression)
    index = next((i for i, count in enumerate(page.databytecounts) if count), None)
    if index is None or page.jpegheader:
        return None
    count = int(page.databytecounts[index])
    if count > 2 * layout.segment_bytes + SPARE_CODED_BYTES:
        return None
    try:
        data = read_bytes(int(page.dataoffsets[index]), count)
        if compression in SIZE_READERS:
            return None if page.is_tiled else compare_width(layout, SIZE_READERS[compression](data).width)
        if compression not in BYTE_CODECS or page.bitspersample not in (8, 16) or page.fillorder != 1:
            return None
        decode = tifffile.TIFF.DECOMPRESSORS[compression]
        spare = min(SPARE_BYTES + 3 * layout.segment_bytes, MAX_SPARE_BYTES)
        decoded = len(decode(data, out=bytearray(layout.segment_bytes + spare)))
    except Exception:  # damaged: reading that part will report it
        return None
    return compare_bytes(page, layout, index, decoded)


def correct_colors(page: tifffile.TiffPage, read_bytes: Callable[[int, int], bytes]) -> None:
    """Mark a page as YCbCr where its tags say RGB, but its JPEGs state YCbCr."""
    index = next((i for i, count in enumerate(page.databytecounts) if count), None)
    if index is None or page.compression not in JPEG_COMPRESSIONS or page.photometric != RGB:
        return
    if page.samplesperpixel != 3 or page.planarconfig == SEPARATE_PLANES:
        return
    try:
        data = read_bytes(int(page.dataoffsets[index]), min(int(page.databytecounts[index]), HEADER_BYTES))
        if is_jpeg_ycbcr(data):
            page.photometric = YCBCR
    except Exception:  # damaged: reading that part will report it
        return


def compare_width(layout: SegmentLayout, width: int) -> str | None:
    """Return how a strip's own header contradicts the width in the page's tags; None if it does not."""
    if width == layout.width:
        return None
    return f"its tags say a width of {layout.width:,} px, its first strip {width:,} px"


def compare_bytes(page: tifffile.TiffPage, layout: SegmentLayout, index: int, decoded: int) -> str | None:
    """Return how a segment's decoded bytes miss its size by a row or column or more; None if not."""
    rows = layout.segment_height
    if not page.is_tiled:
        rows = min(rows, layout.height - index % layout.rows * layout.segment_height)
    row_bytes = layout.segment_bytes // layout.segment_height
    expected = (rows * row_bytes, layout.segment_bytes)
    tolerance = min(row_bytes, row_bytes // layout.segment_width * rows)
    if any(abs(decoded - size) < tolerance for size in expected):
        return None
    return (
        f"its tags say tiles or strips of {layout.segment_width:,} x {rows:,} px, "
        f"which are {expected[0]:,} bytes, but the first is decoded to {decoded:,}"
    )
