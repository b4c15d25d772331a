"""The fields of a protobuf message, such as an ONNX file, read without a protobuf library.

The wire format is a tag and a value per field, so 30 lines walk it; the library would be one more package
to install, and parses all weights into memory for a card of a few hundred bytes.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

Field: TypeAlias = "tuple[int, memoryview | int]"

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how protobuf writes a field
_SIZES = {_FIXED64: 8, _FIXED32: 4}
_TAG_BITS = 0xFFFFFFFF  # protobuf drops what a tag has beyond them


def map_file(path: Path) -> memoryview:
    """Return a file's bytes, mapped rather than read: models reach hundreds of megabytes.

    Raises:
        OSError: if the file cannot be read.
        ValueError: if it is empty.
    """
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def list_fields(content: memoryview) -> Iterator[Field]:
    """List a message's fields: its number, then a number or the bytes of a string or message.

    Raises:
        ValueError: if the bytes are no protobuf message, or end in the middle of it.
    """
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        tag &= _TAG_BITS
        kind = tag & 7
        if kind == _VARINT:
            number, at = _read_varint(content, at)
            yield tag >> 3, number
            continue
        if kind not in (_FIXED64, _FIXED32, _BYTES):
            raise ValueError("it is no ONNX file")
        size, at = _read_varint(content, at) if kind == _BYTES else (_SIZES[kind], at)
        if at + size > len(content):
            raise ValueError("it ends too early")
        if kind == _BYTES:
            yield tag >> 3, content[at : at + size]
        at += size


def _read_varint(content: memoryview, at: int) -> tuple[int, int]:
    """Read a number of 7 bits a byte, the lowest first; return it and where it ends."""
    number = 0
    for place, byte in enumerate(content[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("it ends too early")
