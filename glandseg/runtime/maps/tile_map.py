"""A map of bytes on disk in tiles: read and written by rectangle, never in memory as a whole."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.core.own_files import open_own

TILE_PX = 256


class ReadableMap(Protocol):
    """A map that is read by rectangle."""

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width)."""
        ...

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read rows top..bottom and columns left..right, ends excluded; the caller owns the result."""
        ...


@dataclass(frozen=True)
class CroppedMap:
    """The upper left part of a map.

    Attributes:
        whole: Map that is at least as large.
        shape: (height, width) of the part.
    """

    whole: ReadableMap
    shape: tuple[int, int]

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read rows top..bottom and columns left..right, ends excluded; the caller owns the result."""
        return self.whole.read(top, left, bottom, right)


class TileMap:
    """A (height, width) uint8 map in a file; what was never written is 0.

    The file is a row of tiles of 256 x 256 bytes in reading order. Tiles in which all is 0, most of a slide,
    are neither written nor read; where the file system allows, they take no space. Reads and writes are plain
    file operations, so no page of it counts as the process's memory. It is thread-safe.

    Args:
        path: File of the map; an older one is emptied.
        height_px: Number of rows, at least 1.
        width_px: Number of columns, at least 1.

    Attributes:
        shape: (height, width).

    Raises:
        ValueError: A side is below 1.
    """

    def __init__(self, path: Path, height_px: int, width_px: int) -> None:
        if height_px < 1 or width_px < 1:
            raise ValueError(f"map: each side must be at least 1 px. Received: {height_px} x {width_px}")
        self.shape = (height_px, width_px)
        rows, self._columns = -(-height_px // TILE_PX), -(-width_px // TILE_PX)
        self._is_written = np.zeros((rows, self._columns), bool)  # tiles
        self._file = open_own(path, "w+b", buffering=0)
        self._file.truncate(rows * self._columns * TILE_PX**2)
        self._lock = threading.Lock()

    def write(self, top: int, left: int, block: NDArray[np.uint8]) -> None:
        """Write a rectangle whose upper left px is (top, left).

        Raises:
            ValueError: The rectangle is not entirely inside the map.
            OSError: The disk is full or fails.
        """
        bottom, right = top + block.shape[0], left + block.shape[1]
        self._check_inside(top, left, bottom, right)
        for row in range(top // TILE_PX, -(-bottom // TILE_PX)):
            for column in range(left // TILE_PX, -(-right // TILE_PX)):
                self._write_tile(row, column, top, left, block)

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Read rows top..bottom and columns left..right, ends excluded, as (rows, columns) uint8.

        Raises:
            ValueError: The rectangle is empty or not entirely inside the map.
        """
        self._check_inside(top, left, bottom, right)
        block = np.zeros((bottom - top, right - left), np.uint8)
        first, last = left // TILE_PX, -(-right // TILE_PX)
        for row in range(top // TILE_PX, -(-bottom // TILE_PX)):
            for column in (first + np.flatnonzero(self._is_written[row, first:last])).tolist():
                inner, outer = _match(row, column, top, left, block.shape)
                block[outer] = self._read_rows(row, column, inner[0])[:, inner[1]]
        return block

    def close(self) -> None:
        """Close the file, which stays; may be called repeatedly."""
        self._file.close()

    def __enter__(self) -> TileMap:
        """Return itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def _check_inside(self, top: int, left: int, bottom: int, right: int) -> None:
        height, width = self.shape
        if not (0 <= top < bottom <= height and 0 <= left < right <= width):
            raise ValueError(
                f"rectangle: must lie inside the map of {height} x {width} px. "
                f"Received: rows {top}..{bottom}, columns {left}..{right}"
            )

    def _write_tile(self, row: int, column: int, top: int, left: int, block: NDArray[np.uint8]) -> None:
        inner, outer = _match(row, column, top, left, block.shape)
        part = block[outer]
        with self._lock:
            if not self._is_written[row, column] and not part.any():
                return
            rows = part if part.shape[1] == TILE_PX else self._fetch(row, column, inner[0])
            if rows is not part:
                rows[:, inner[1]] = part
            self._is_written[row, column] = True
            self._seek(row, column, inner[0].start)
            self._put(rows.tobytes())

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        while rest:
            rest = rest[self._file.write(rest) :]

    def _read_rows(self, row: int, column: int, rows: slice) -> NDArray[np.uint8]:
        with self._lock:
            return self._fetch(row, column, rows)

    def _fetch(self, row: int, column: int, rows: slice) -> NDArray[np.uint8]:
        """Read whole rows of a tile: they lie one after the other."""
        self._seek(row, column, rows.start)
        data = bytearray(self._file.read((rows.stop - rows.start) * TILE_PX) or b"")
        return np.frombuffer(data, np.uint8).reshape(-1, TILE_PX)

    def _seek(self, row: int, column: int, first: int) -> None:
        self._file.seek(((row * self._columns + column) * TILE_PX + first) * TILE_PX)


def _match(
    row: int, column: int, top: int, left: int, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], tuple[slice, slice]]:
    """Return where a tile and a rectangle overlap, in the tile's px and in the rectangle's."""
    inner, outer = [], []
    for index, start, length in ((row, top, shape[0]), (column, left, shape[1])):
        first = max(index * TILE_PX, start)
        last = min((index + 1) * TILE_PX, start + length)
        inner.append(slice(first - index * TILE_PX, last - index * TILE_PX))
        outer.append(slice(first - start, last - start))
    return (inner[0], inner[1]), (outer[0], outer[1])
