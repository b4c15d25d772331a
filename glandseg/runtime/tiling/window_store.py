"""The network's probabilities of each window, in one file that only grows, so that a killed run resumes.

A record is a header and its data, written together: a process that is killed leaves whole records and at most
one torn one, which its checksum detects and which is cut off. Nothing is ever changed, so no order of
windows, threads or restarts shows in what is read back. A database would need twice the time and two more
files, and its write-ahead log does not work on network drives, where slides often lie.
"""

from __future__ import annotations

import struct
import threading
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from glandseg.core.own_files import open_own

_HEADER = struct.Struct("<4sBIIIHHI")  # mark, plane, row, column, length, rows, columns, checksum
_MARK = b"glW1"
CORE_PLANES = 128  # on top of a window's plane, in the key of its p(core)
_LEVEL = 1  # of zstd: ten times as fast as the network on a GPU, and a tenth of the space


class Key(NamedTuple):
    """A window: the index of its plane, and its row and column on the plane's grid."""

    plane: int
    row: int
    column: int

    @property
    def core(self) -> Key:
        """The key of the same window's p(core)."""
        return self._replace(plane=self.plane + CORE_PLANES)


@dataclass(frozen=True)
class _Place:
    offset: int
    length: int
    shape: tuple[int, int]
    checksum: int


class WindowStore(ExitStack):
    """Windows in a file, by key; reopened, it holds the whole records. Several threads may share it.

    Args:
        path: File, made where there is none.

    Raises:
        OSError: The file cannot be opened, or is a link.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = self.enter_context(open_own(path, "r+b" if path.exists() else "x+b", buffering=0))
        self._lock = threading.Lock()
        self._places: dict[Key, _Place] = dict(self._scan(path.stat().st_size))
        self._end = max((place.offset + place.length for place in self._places.values()), default=0)
        self._file.truncate(self._end)

    def append(self, key: Key, values: NDArray[np.uint8]) -> None:
        """Add a window, (rows, columns) uint8; any later process finds it when this returns.

        Raises:
            OSError: The disk is full or fails; the store is as before.
        """
        data = bytes(imagecodecs.zstd_encode(values.tobytes(), _LEVEL))
        checksum = _check(data, *key, *values.shape)
        header = _HEADER.pack(_MARK, *key, len(data), *values.shape, checksum)
        with self._lock:
            self._file.seek(self._end)
            self._put(header + data)
            start = self._end + _HEADER.size
            self._places[key] = _Place(start, len(data), _get_shape(values), checksum)
            self._end = start + len(data)

    def get(self, key: Key) -> NDArray[np.uint8] | None:
        """Return a window, (rows, columns) uint8; None where there is none."""
        with self._lock:
            place = self._places.get(key)
            if place is None:
                return None
            self._file.seek(place.offset)
            data = self._file.read(place.length)
        return _unpack(key, data, place)

    def get_from(self, plane: int) -> Callable[[int, int], NDArray[np.uint8] | None]:
        """Return a function that returns a plane's windows by row and column."""
        return lambda row, column: self.get(Key(plane, row, column))

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Key]:
        """Return the keys stored now."""
        with self._lock:
            return iter(list(self._places))

    @property
    def size(self) -> int:
        """The file's bytes."""
        return self._end

    def _put(self, data: bytes) -> None:
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[self._file.write(rest) :]
        except OSError:
            self._file.truncate(self._end)
            raise

    def _scan(self, size: int) -> Iterator[tuple[Key, _Place]]:
        offset = 0
        while offset + _HEADER.size <= size:
            self._file.seek(offset)
            mark, plane, row, column, length, rows, columns, checksum = _HEADER.unpack(
                self._file.read(_HEADER.size)
            )
            offset += _HEADER.size
            data = self._file.read(length) if mark == _MARK and offset + length <= size else b""
            if mark != _MARK or _check(data, plane, row, column, rows, columns) != checksum:
                return
            place = _Place(offset, length, (rows, columns), checksum)
            offset += length
            yield Key(plane, row, column), place


def _check(data: bytes, *numbers: int) -> int:
    return zlib.crc32(data, zlib.crc32(repr(numbers).encode()))


def _get_shape(values: NDArray[np.uint8]) -> tuple[int, int]:
    rows, columns = values.shape
    return rows, columns


def _unpack(key: Key, data: bytes, place: _Place) -> NDArray[np.uint8]:
    if len(data) != place.length or _check(data, *key, *place.shape) != place.checksum:
        raise OSError(5, "what was written earlier cannot be read back")
    values: NDArray[np.uint8] = np.frombuffer(imagecodecs.zstd_decode(data), np.uint8).reshape(place.shape)
    return values
