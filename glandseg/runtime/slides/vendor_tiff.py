"""What OpenSlide overlooks in a vendor's TIFF: sizes and tiles that do not agree, and damaged JPEGs.

A damaged width leaves more or fewer tiles than the picture needs; OpenSlide paints what is missing white, or
puts every row of tiles in the wrong place. Of a damaged JPEG it drops the decoder's warning.
"""

from __future__ import annotations

import threading
from pathlib import Path

import tifffile

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.slides.jpeg_fault import find_jpeg_fault
from glandseg.runtime.slides.positional_file import PositionalFile

PLAIN, JPEG = 1, 7
SEPARATE_PLANES = 2
TIFF_VENDORS = ("aperio", "leica", "philips-tiff", "trestle", "ventana")


def check_tile_counts(path: Path) -> None:
    """Raise where a tiled page of a TIFF lists other than the tiles that its size needs.

    Raises:
        BadInputError: A size or the list of tiles is damaged.
    """
    for index, page in enumerate(list_tiled_pages(path)):
        stored, needed = len(page.dataoffsets), count_tiles(page)
        if stored != needed or len(page.databytecounts) != needed:
            raise BadInputError(
                f"{path}: tiled page {index + 1} states {page.imagewidth:,} x {page.imagelength:,} px, "
                f"which need {needed:,} tiles, and lists {stored:,}: damaged. Copy or export the slide again"
            )
        least = count_tile_bytes(page) if page.compression == PLAIN else 0
        if any(0 < size < least for size in page.databytecounts):
            raise BadInputError(
                f"{path}: tiled page {index + 1} states that its tiles are not packed, and has fewer bytes "
                "than they need: damaged. Copy or export the slide again"
            )


def list_tiled_pages(path: Path) -> list[tifffile.TiffPage]:
    """Read a TIFF's tiled pages, px left out; none where tifffile cannot, which is left to OpenSlide."""
    try:
        with tifffile.TiffFile(path, _useframes=False, _multifile=False) as tiff:
            return [page for page in tiff.pages if page.is_tiled and page.tilewidth and page.tilelength]
    except Exception:  # whatever tifffile makes of damage
        return []


def count_tiles(page: tifffile.TiffPage) -> int:
    """Count the tiles that a page's size needs."""
    across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    planes = page.samplesperpixel if page.planarconfig == SEPARATE_PLANES else 1
    return int(across * down * planes)


def count_tile_bytes(page: tifffile.TiffPage) -> int:
    """Count the bytes of a tile that is not packed."""
    samples = 1 if page.planarconfig == SEPARATE_PLANES else page.samplesperpixel
    return int(page.tilelength * -(-page.tilewidth * samples * page.bitspersample // 8))


class JpegTiles:
    """The JPEG tiles of a TIFF's page, each looked at once, when it is first read; threads may share it.

    Args:
        file: To read.
        page: Tiled and of JPEG.
    """

    def __init__(self, file: PositionalFile, page: tifffile.TiffPage) -> None:
        self._file = file
        self._tables: bytes = page.jpegtables or b""
        self._width, self._height = int(page.tilewidth), int(page.tilelength)
        self._across = -(-int(page.imagewidth) // self._width)
        self._places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
        self._faults: dict[int, str] = {}
        self._lock = threading.Lock()

    def check(self, x: int, y: int, width: int, height: int) -> None:
        """Raise where a tile of a rectangle in px of the page is damaged.

        Raises:
            ValueError: With what is wrong.
        """
        for row in range(y // self._height, (y + height - 1) // self._height + 1):
            for column in range(x // self._width, (x + width - 1) // self._width + 1):
                fault = self._find_fault(row * self._across + column)
                if fault:
                    raise ValueError(fault)

    def _find_fault(self, index: int) -> str:
        with self._lock:
            known = self._faults.get(index)
        if known is None:
            offset, size = self._places[index]
            known = find_jpeg_fault(self._file.read(offset, size), self._tables) if size else ""
            with self._lock:
                self._faults[index] = known
        return known


def list_jpeg_tiles(
    path: Path, file: PositionalFile, sizes_wh: list[tuple[int, int]]
) -> list[JpegTiles | None]:
    """Find the page of each level of a slide by its size; None for a level that is not of JPEG tiles.

    Args:
        path: TIFF.
        file: The same, open.
        sizes_wh: Width and height of each level, in px.
    """
    pages = {
        (int(page.imagewidth), int(page.imagelength)): page
        for page in list_tiled_pages(path)
        if page.compression == JPEG
    }
    return [JpegTiles(file, pages[size]) if size in pages else None for size in sizes_wh]
