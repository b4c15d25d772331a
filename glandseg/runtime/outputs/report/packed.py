"""Glands packed for the page: a zlib stream on disk that takes records until it is as large as it may be.

Outlines are differences between points, in quarters of a map px, as variable-length integers: a gland takes
some 170 bytes instead of the 3,700 of GeoJSON.
"""

from __future__ import annotations

import base64
import tempfile
import zlib
from contextlib import ExitStack
from pathlib import Path
from typing import IO

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

STEPS_PER_PX = 4  # outlines are rounded to a quarter of a map px
_CHUNK = 3 << 16  # bytes; a multiple of 3, so that base64 needs no padding between chunks
_LONGEST_VARINT = 5


class PackedRecords(ExitStack):
    """Records in a zlib stream in a temporary file; a context manager that removes it.

    Args:
        folder: Folder of the temporary file.
        max_bytes: Size of the text at which further records are left out.

    Attributes:
        count: Number of records taken.
        is_full: Whether records were left out.
    """

    def __init__(self, folder: Path, max_bytes: float) -> None:
        super().__init__()
        self.count, self.is_full = 0, False
        self._max_bytes, self._zip = max_bytes, zlib.compressobj(6)
        self._file: IO[bytes] = self.enter_context(tempfile.TemporaryFile(dir=folder))  # noqa: SIM115

    def add(self, record: bytes) -> None:
        """Add a record, unless the stream is full."""
        self.is_full = self.is_full or self._file.tell() * 4 / 3 >= self._max_bytes
        if not self.is_full:
            self._file.write(self._zip.compress(record))
            self.count += 1

    def write_text(self, file: IO[bytes]) -> None:
        """End the stream and write it as base64."""
        self._file.write(self._zip.flush())
        self._file.seek(0)
        while chunk := self._file.read(_CHUNK):
            file.write(base64.b64encode(chunk))


def pack_outline(polygon_px: Polygon) -> bytes:
    """Pack a contour and its holes.

    Returns:
        Number of rings, then for each ring the number of its points, the first point and the differences to
        each next one, x before y, in quarters of a map px; closing points are left out.
    """
    rings = [polygon_px.exterior, *polygon_px.interiors]
    numbers: list[NDArray[np.int64]] = [np.array([len(rings)])]
    for ring in rings:
        points = np.rint(shapely.get_coordinates(ring)[:-1] * STEPS_PER_PX).astype(np.int64)
        steps = np.diff(points, axis=0, prepend=0).ravel()
        numbers += [np.array([len(points)]), (steps << 1) ^ (steps >> 63)]  # the sign goes last
    return encode_varints(np.concatenate(numbers))


def encode_varints(numbers: NDArray[np.int64]) -> bytes:
    """Encode (N,) integers of 0..2^35-1, 7 bits a byte, low bits first; the top bit says that more follow."""
    shifts = np.arange(_LONGEST_VARINT) * 7
    sevens = (numbers[:, None] >> shifts) & 127
    lengths = np.maximum(1, _LONGEST_VARINT - np.argmax(sevens[:, ::-1] > 0, axis=1))
    lengths[numbers == 0] = 1
    place = np.arange(_LONGEST_VARINT)
    more = place < lengths[:, None] - 1
    return bytes((sevens | more * 128)[place < lengths[:, None]].astype(np.uint8))
