"""A DICOM file's series and elements, read without decoding anything."""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

IMAGE_TYPE, SERIES_UID = (0x0008, 0x0008), (0x0020, 0x000E)
TRANSFER_SYNTAX = (0x0002, 0x0010)
ITEM, ITEM_END, SEQUENCE_END = (0xFFFE, 0xE000), (0xFFFE, 0xE00D), (0xFFFE, 0xE0DD)
IMPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
LONG_KINDS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
UNDEFINED = 0xFFFFFFFF
MAX_VALUE = 1024  # bytes of an element's value that is kept
Tag = tuple[int, int]


@dataclass(frozen=True)
class Instance:
    """One file of a series.

    Attributes:
        series_uid: UID of the series.
        is_volume: False for a label, an overview or a thumbnail.
    """

    series_uid: str
    is_volume: bool


def read_instance(path: Path) -> Instance | None:
    """Read a file's series; None if it is not DICOM or cannot be read."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return parse_instance(file)
    except (OSError, EOFError, struct.error, RecursionError):
        return None


def open_elements(file: BinaryIO) -> tuple[Elements, str]:
    """Read a DICOM file's preamble; return its elements and the UID of its transfer syntax.

    Raises:
        EOFError: The file ends before, or is not DICOM.
    """
    file.seek(0)
    if file.read(132)[128:] != b"DICM":
        raise EOFError("not DICOM")
    meta = Elements(file).find({TRANSFER_SYNTAX}, (0x0002, 0xFFFF))
    syntax = decode_text(meta.get(TRANSFER_SYNTAX, b""))
    order = ">" if syntax == BIG_ENDIAN else "<"
    return Elements(file, order, implicit=syntax == IMPLICIT), syntax


def parse_instance(file: BinaryIO) -> Instance | None:
    """Read on to the series' UID.

    Raises:
        EOFError: The file ends before, or is not DICOM.
    """
    elements, syntax = open_elements(file)
    if syntax == DEFLATED:
        return None
    found = elements.find({IMAGE_TYPE, SERIES_UID}, SERIES_UID)
    kinds = decode_text(found.get(IMAGE_TYPE, b"")).split("\\")
    uid = decode_text(found.get(SERIES_UID, b""))
    return Instance(uid, len(kinds) < 3 or kinds[2].strip() == "VOLUME") if uid else None


def decode_text(value: bytes) -> str:
    """Decode a value without its padding."""
    return value.decode("latin-1").rstrip("\0 ")


class Elements:
    """Reader of a DICOM file's data elements, in order.

    Args:
        file: File, positioned at the first element.
        order: "<" or ">".
        implicit: Whether elements omit their kind.
    """

    def __init__(self, file: BinaryIO, order: str = "<", *, implicit: bool = False) -> None:
        self._file = file
        self._order = order
        self._implicit = implicit

    def find(self, wanted: set[Tag], last: Tag) -> dict[Tag, bytes]:
        """Return the values of the wanted elements up to `last`, and leave the file before the next one."""
        found: dict[Tag, bytes] = {}
        while True:
            place = self._file.tell()
            tag, length = self._read_head()
            if tag > last:
                self._file.seek(place)
                return found
            if tag in wanted and length <= MAX_VALUE:
                found[tag] = self._read(length)
            else:
                self._skip(length)
            if tag == last:
                return found

    def list_fragments(self) -> Iterator[tuple[int, int]]:
        """Yield offset and size, in bytes, of the fragments of compressed pixels, the next element."""
        if self._read_head()[1] != UNDEFINED:
            return
        while (head := self._read_item())[0] == ITEM:
            yield self._file.tell(), head[1]
            self._file.seek(head[1], io.SEEK_CUR)

    def _skip(self, length: int) -> None:
        if length != UNDEFINED:
            self._file.seek(length, io.SEEK_CUR)
            return
        while (head := self._read_item())[0] == ITEM:
            if head[1] != UNDEFINED:
                self._file.seek(head[1], io.SEEK_CUR)
                continue
            while (element := self._read_head())[0] != ITEM_END:
                self._skip(element[1])

    def _read_head(self) -> tuple[Tag, int]:
        group, element = struct.unpack(f"{self._order}HH", self._read(4))
        if group == ITEM[0] or self._implicit:
            return (group, element), self._unpack("I", 4)
        kind = self._read(2)
        if kind in LONG_KINDS:
            self._read(2)
            return (group, element), self._unpack("I", 4)
        return (group, element), self._unpack("H", 2)

    def _read_item(self) -> tuple[Tag, int]:
        tag, length = self._read_head()
        if tag not in {ITEM, SEQUENCE_END}:
            raise EOFError("a sequence without an end")
        return tag, length

    def _unpack(self, kind: str, size: int) -> int:
        value: int = struct.unpack(f"{self._order}{kind}", self._read(size))[0]
        return value

    def _read(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError("the file ends")
        return data
