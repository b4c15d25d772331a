"""Offsets of the JPEG frames of a DICOM slide, so that damage in them can be detected.

Only levels in one file whose frames are all its tiles in order ("TILED_FULL") are checked. Elsewhere the
frames' positions are spread over the header, and damage that OpenSlide overlooks stays undetected.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from glandseg.slides.formats.dicom_series import Elements, open_elements
from glandseg.slides.formats.jpeg import JpegTiles, Place
from glandseg.slides.positional_file import PositionalFile

JPEG_SYNTAXES = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")  # baseline, extended
ORGANISATION = (0x0020, 0x9311)
ROWS, COLUMNS = (0x0028, 0x0010), (0x0028, 0x0011)
TOTAL_COLUMNS, TOTAL_ROWS = (0x0048, 0x0006), (0x0048, 0x0007)
BEFORE_PIXELS = (0x7FE0, 0x000F)
Size = tuple[int, int]  # width and height in px


@dataclass(frozen=True)
class Frames:
    """The frames of one DICOM file.

    Attributes:
        size_wh: Width and height of the level, in px.
        tile_wh: Width and height of a frame, in px.
        places: Offset and size of each frame, row by row.
    """

    size_wh: Size
    tile_wh: Size
    places: tuple[Place, ...]

    @property
    def across(self) -> int:
        """Tiles in a row."""
        return -(-self.size_wh[0] // self.tile_wh[0])

    @property
    def is_full(self) -> bool:
        """Whether there is one frame per tile."""
        return len(self.places) == self.across * -(-self.size_wh[1] // self.tile_wh[1])


def list_frame_tiles(files: tuple[Path, ...], sizes_wh: list[Size]) -> list[JpegTiles | None]:
    """List the JPEG frames of each level of a slide; None for a level that cannot be checked.

    Args:
        files: Files of the series.
        sizes_wh: Width and height of each level, in px.
    """
    found: dict[Size, tuple[Path, Frames]] = {}
    for path in files:
        frames = read_frames(path)
        if frames is not None and frames.is_full:
            found[frames.size_wh] = (path, frames)
    return [build_tiles(*found[size]) if size in found else None for size in sizes_wh]


def build_tiles(path: Path, frames: Frames) -> JpegTiles:
    """Build the checker of a file's frames."""
    return JpegTiles(PositionalFile(path), frames.places, frames.tile_wh, frames.across)


def read_frames(path: Path) -> Frames | None:
    """Read the offsets of a file's JPEG frames; None if they are not JPEG, not in order, or unreadable."""
    try:
        with path.open("rb") as file:
            elements, syntax = open_elements(file)
            return parse_frames(file, elements) if syntax in JPEG_SYNTAXES else None
    except (OSError, EOFError, struct.error, RecursionError, KeyError, ZeroDivisionError):
        return None


def parse_frames(file: BinaryIO, elements: Elements) -> Frames | None:
    """Read on to the pixels, and list their fragments.

    Raises:
        EOFError: The file ends before them.
        KeyError: It lacks a size.
    """
    sides = (TOTAL_COLUMNS, TOTAL_ROWS, COLUMNS, ROWS)
    found = elements.find({ORGANISATION, *sides}, BEFORE_PIXELS)
    if found.get(ORGANISATION, b"").strip(b"\0 ") != b"TILED_FULL":
        return None
    width, height, across, down = (int.from_bytes(found[side], "little") for side in sides)
    places = tuple(elements.list_fragments())[1:]  # the first fragment lists offsets
    return Frames((width, height), (across, down), places)
