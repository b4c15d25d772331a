"""Checks of vendors' slides for damage that OpenSlide overlooks, and its errors in words.

A damaged width leaves more or fewer tiles than the image needs; OpenSlide paints missing tiles white, or
puts every row of tiles in the wrong place. Of a damaged JPEG it drops the decoder's warning. A damaged size
beyond what the file can hold would take hours to read.
"""

from __future__ import annotations

import re
from pathlib import Path

import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.jpeg import JpegTiles
from glandseg.slides.formats.tiff_layout import SEPARATE_PLANES
from glandseg.slides.path_check import EXPORT
from glandseg.slides.positional_file import PositionalFile
from glandseg.slides.slide_files import list_slide_files, read_state

PLAIN, JPEG = 1, 7
TIFF_VENDORS = ("aperio", "leica", "philips-tiff", "trestle", "ventana")
MAX_PX_PER_BYTE = 100_000  # JPEG packs at most 512 px into a byte; background between scans takes no bytes
MIN_SIDE_PX = 512  # of a level with meaningful proportions: smaller ones may be padded to whole tiles
MAX_DISTORTION = 1.5
# OpenSlide's messages about intact files of kinds that it cannot read.
UNSUPPORTED = re.compile(
    r"unsupported(?! or missing)|not supported|unrecogni[sz]ed|not implemented|can't handle|cannot handle|"
    r"attribute \w+ value -?\d+ != -?\d+|unknown (?:compression|pixel type|photometric)",
    re.IGNORECASE,
)


def check_tile_counts(path: Path) -> None:
    """Check that every tiled page of a TIFF lists the tiles that its size needs.

    Raises:
        BadInputError: A size or the list of tiles is damaged.
    """
    for index, page in enumerate(list_tiled_pages(path)):
        stored, needed = len(page.dataoffsets), count_tiles(page)
        if stored != needed or len(page.databytecounts) != needed:
            raise BadInputError(
                f"{path}: tiled page {index + 1} states {page.imagewidth:,} x {page.imagelength:,} px, "
                f"which need {needed:,} tiles, and lists {stored:,}: damaged. Copy or export the slide again."
            )
        minimum = count_tile_bytes(page) if page.compression == PLAIN else 0
        if any(0 < size < minimum for size in page.databytecounts):
            raise BadInputError(
                f"{path}: tiled page {index + 1} states uncompressed tiles, and has fewer bytes "
                "than they need: damaged. Copy or export the slide again."
            )


def list_tiled_pages(path: Path) -> list[tifffile.TiffPage]:
    """Read a TIFF's tiled pages without px; none if tifffile fails, which is left to OpenSlide."""
    try:
        with tifffile.TiffFile(path, _useframes=False) as tiff:
            return [page for page in tiff.pages if page.is_tiled and page.tilewidth and page.tilelength]
    except Exception:  # whatever tifffile raises on damage
        return []


def count_tiles(page: tifffile.TiffPage) -> int:
    """Count the tiles that a page's size needs."""
    across, down = -(-page.imagewidth // page.tilewidth), -(-page.imagelength // page.tilelength)
    planes = page.samplesperpixel if page.planarconfig == SEPARATE_PLANES else 1
    return int(across * down * planes)


def count_tile_bytes(page: tifffile.TiffPage) -> int:
    """Count the bytes of an uncompressed tile."""
    samples = 1 if page.planarconfig == SEPARATE_PLANES else page.samplesperpixel
    return int(page.tilelength * -(-page.tilewidth * samples * page.bitspersample // 8))


def list_jpeg_tiles(path: Path, sizes_wh: list[tuple[int, int]]) -> list[JpegTiles | None]:
    """List the JPEG tiles of each level, whose page is found by its size; None for other levels.

    Args:
        path: TIFF file.
        sizes_wh: Width and height of each level, in px.
    """
    pages = {
        (int(page.imagewidth), int(page.imagelength)): page
        for page in list_tiled_pages(path)
        if page.compression == JPEG
    }
    return [build_tiles(path, pages[size]) if size in pages else None for size in sizes_wh]


def build_tiles(path: Path, page: tifffile.TiffPage) -> JpegTiles:
    """Build the checker of a page's tiles."""
    places = list(zip(page.dataoffsets, page.databytecounts, strict=True))
    tile_wh = (int(page.tilewidth), int(page.tilelength))
    across = -(-int(page.imagewidth) // tile_wh[0])
    return JpegTiles(PositionalFile(path), places, tile_wh, across, page.jpegtables or b"")


def check_plausible(path: Path, sizes_wh: list[tuple[int, int]]) -> None:
    """Check that a slide can have the sizes that it states.

    Args:
        path: Slide.
        sizes_wh: Width and height of its levels in px, full resolution first.

    Raises:
        BadInputError: Its files are too small for the image, or two levels differ in proportions.
    """
    width, height = sizes_wh[0]
    size = sum(size for _, size, _ in read_state(list_slide_files(path)))
    if width * height > MAX_PX_PER_BYTE * size > 0:
        raise BadInputError(
            f"{path}: states {width:,} x {height:,} px, more than its {size:,} bytes can hold: "
            "damaged. Copy or export the slide again."
        )
    for other in sizes_wh[1:2]:
        x, y = width / other[0], height / other[1]
        if min(other) >= MIN_SIDE_PX and max(x / y, y / x) > MAX_DISTORTION:
            raise BadInputError(
                f"{path}: states {width:,} x {height:,} px, and {other[0]:,} x {other[1]:,} px shrunk, which "
                "are not in proportion: damaged. Copy or export the slide again."
            )


def build_failure(path: Path, vendor: str, reason: str) -> BadInputError:
    """Build the error of a slide that OpenSlide recognises but cannot open.

    Args:
        path: Slide.
        vendor: Vendor of the format.
        reason: OpenSlide's message, without the path.
    """
    if UNSUPPORTED.search(reason):
        return BadInputError(
            f"{path}: recognised as {vendor}, of a kind that OpenSlide does not support: {reason}. {EXPORT}"
        )
    return BadInputError(
        f"{path}: recognised as {vendor}, but OpenSlide cannot open it ({reason}): "
        f"damaged, or files beside it are missing. Copy the slide again, with its folder."
    )
