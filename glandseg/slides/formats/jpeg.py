"""JPEG headers, and damage in JPEG data that decoders fill in silently.

A JPEG has no checksum. Its decoder detects most damage by codes that do not fit, and then only warns: OpenCV
prints it, imagecodecs, OpenSlide and Pillow drop it, and the px are wrong. simplejpeg reports it. Damage that
leaves all codes valid cannot be detected.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Sequence

import simplejpeg

from glandseg.slides.positional_file import PositionalFile

# Complaints about damage; others are about versions or unsupported kinds.
FAULTS = (
    "bogus",
    "corrupt jpeg data",
    "huffman table",
    "invalid jpeg file structure",
    "premature end",
    "quantization table",
    "unsupported marker",
)
EXTRA = re.compile(r"(\d+) extraneous bytes")
JPEG_END = b"\xff\xd9"
JPEG_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF0..SOF15; the others define tables
JPEG_ALONE = {0x01, *range(0xD0, 0xD9)}  # markers without a length
JPEG_SCAN = 0xDA
Place = tuple[int, int]  # offset and size in bytes; size 0 where the file stores no tile


def find_jpeg_fault(data: bytes, tables: bytes = b"") -> str:
    """Return the fault in a JPEG's data; empty if none is detected.

    Args:
        data: JPEG stream of a file or of a TIFF's tile.
        tables: The TIFF's JPEGTables, which its tiles then lack.
    """
    whole = tables[:-2] + data[2:] if tables else data
    try:
        colorspace = simplejpeg.decode_jpeg_header(whole, strict=False)[2]
        simplejpeg.decode_jpeg(whole, "CMYK" if colorspace in {"CMYK", "YCCK"} else "GRAY", strict=True)
    except KeyError:  # a colorspace that simplejpeg does not know
        return ""
    except ValueError as error:
        fault = str(error)
        return fault if is_damage(fault) and not is_padding(fault, whole) else ""
    return ""


def is_damage(complaint: str) -> bool:
    """Return whether a complaint is about damaged px rather than a header."""
    return complaint.lower().startswith(FAULTS) and "icc" not in complaint.lower()


def is_padding(complaint: str, data: bytes) -> bool:
    """Return whether extraneous bytes before the end marker are all equal, as some encoders pad."""
    found, end = EXTRA.search(complaint), data.rfind(JPEG_END)
    return found is not None and end >= 0 and len(set(data[end - int(found[1]) : end])) == 1


def find_jpeg_frame(data: bytes) -> int:
    """Find the offset of a JPEG's frame header, skipping those of thumbnails in its metadata.

    Raises:
        ValueError: There is none before the first scan.
    """
    at = data.find(b"\xff\xd8") + 2
    while 2 <= at < len(data) - 9:
        if data[at] != 0xFF or data[at + 1] in {0x00, 0xFF}:
            at += 1
            continue
        marker = data[at + 1]
        if marker in JPEG_FRAMES:
            return at
        if marker == JPEG_SCAN:
            break
        at += 2 if marker in JPEG_ALONE else 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise ValueError("a JPEG has no frame header")


def is_jpeg_ycbcr(data: bytes) -> bool:
    """Return whether a JPEG of three components states YCbCr by JFIF, Adobe or subsampling.

    Raises:
        ValueError: It has no frame header.
    """
    frame = find_jpeg_frame(data)
    adobe = data.find(b"Adobe", 0, frame)
    if adobe >= 0:
        return data[adobe + 11] == 1
    sampling = data[frame + 11 : frame + 18 : 3]
    return data[6:10] == b"JFIF" or len(set(sampling)) > 1


class JpegTiles:
    """Checker of the JPEG tiles of a level, each checked once; safe for threads.

    Args:
        file: File of the tiles.
        places: Offset and size of each tile, row by row.
        tile_wh: Width and height of a tile in px.
        across: Tiles in a row.
        tables: JPEGTables of all tiles, in a TIFF.
    """

    def __init__(
        self,
        file: PositionalFile,
        places: Sequence[Place],
        tile_wh: tuple[int, int],
        across: int,
        tables: bytes = b"",
    ) -> None:
        self._file = file
        self._places = places
        self._width, self._height = tile_wh
        self._across = across
        self._tables = tables
        self._faults: dict[int, str] = {}
        self._lock = threading.Lock()

    def check(self, x: int, y: int, width: int, height: int) -> None:
        """Check the tiles of a rectangle in px of the level.

        Raises:
            ValueError: A tile is damaged; the message is its fault.
        """
        for row in range(y // self._height, (y + height - 1) // self._height + 1):
            for column in range(x // self._width, (x + width - 1) // self._width + 1):
                fault = self._find_fault(row * self._across + column)
                if fault:
                    raise ValueError(fault)

    def close(self) -> None:
        """Close the file; harmless when repeated."""
        self._file.close()

    def _find_fault(self, index: int) -> str:
        with self._lock:
            known = self._faults.get(index)
        if known is None:
            offset, size = self._places[index]
            known = find_jpeg_fault(self._file.read(offset, size), self._tables) if size else ""
            with self._lock:
                self._faults[index] = known
        return known
