"""What the headers of several codecs are made of: boxes, and numbers of a few bits."""

from __future__ import annotations

import struct
from dataclasses import dataclass


@dataclass(frozen=True)
class CodedSize:
    """Size in px of a coded image, and its components where the header says them (0 where not)."""

    width: int
    height: int
    components: int = 0


def find_box(data: bytes, *kinds: bytes) -> bytes:
    """Return the body of the first box of one of these kinds (JP2 and JPEG XL files), empty without one."""
    at = 0
    while at + 8 <= len(data):
        (length,), kind, head = struct.unpack_from(">I", data, at), data[at + 4 : at + 8], 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        if kind in kinds:
            return data[at + head :]
        if length < head:
            break
        at += length
    return b""


class BitReader:
    """Reads numbers from bytes, the lowest bits first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value
