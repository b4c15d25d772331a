"""The JPEG tiles of a level, looked at as they are first read."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from glandseg.slides.formats.jpeg_fault import find_jpeg_fault
from glandseg.slides.positional_file import PositionalFile

Place = tuple[int, int]  # offset and size in bytes; size 0 where the file stores no tile


class JpegTiles:
    """The tiles of a level, each looked at once; threads may share it.

    Args:
        file: To read.
        places: Where the tiles lie, row by row.
        tile_wh: Width and height of a tile in px.
        across: Tiles in a row.
        tables: Of all tiles, in a TIFF.
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
        """Raise where a tile of a rectangle in px of the level is damaged.

        Raises:
            ValueError: With what is wrong.
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
