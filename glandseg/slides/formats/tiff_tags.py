"""Whether the tags that a page's px depend on can be read: tifffile passes over those that cannot."""

from __future__ import annotations

import struct

import tifffile

WHOLE_NUMBERS = {1, 3, 4, 16}  # types BYTE, SHORT, LONG and LONG8
ESSENTIAL = {  # what is taken for its default where it is absent, and would make other px of the same bytes
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


def find_tag_problem(page: tifffile.TiffPage) -> str | None:
    """Find an essential tag that is in the file but cannot be read, in words; None without one."""
    for code, kind in list_entries(page):
        if code in ESSENTIAL and (code not in page.tags or kind not in WHOLE_NUMBERS):
            return f"its tag {ESSENTIAL[code]} cannot be read"
    if page.planarconfig not in (1, 2):
        return f"its tag PlanarConfiguration says {page.planarconfig}, where 1 and 2 are known"
    return None


def list_entries(page: tifffile.TiffPage) -> list[tuple[int, int]]:
    """List the code and the type of each tag as they stand in the file."""
    layout, file = page.parent.tiff, page.parent.filehandle
    file.seek(page.offset)
    (count,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
    data = file.read(count * layout.tagsize)
    heads = (data[i : i + 4] for i in range(0, len(data) - layout.tagsize + 1, layout.tagsize))
    return [struct.unpack(layout.byteorder + "HH", head) for head in heads]
