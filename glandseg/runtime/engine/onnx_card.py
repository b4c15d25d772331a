"""The model card of an ONNX file, read without the onnx package: its metadata lie at the top of the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glandseg.runtime.card import CardError, ModelCard, read_card
from glandseg.runtime.errors import BadInputError

# Of ONNX's ModelProto: the field of the metadata, each an entry of key and value.
_METADATA, _KEY, _VALUE = 14, 1, 2
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # how protobuf writes a field


def read_onnx_card(path: Path) -> ModelCard:
    """Read the card inside an ONNX file.

    Raises:
        BadInputError: if the file is no ONNX file or has no card.
    """
    try:
        return read_card(read_metadata(path.read_bytes()))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (CardError, ValueError) as error:
        raise BadInputError(
            f"{path}: not a model of glandseg, {error}. Give one that `glandseg export` made."
        ) from None


def read_metadata(content: bytes) -> dict[str, str]:
    """Read the metadata of an ONNX file's bytes.

    Raises:
        ValueError: if they are no protobuf message, or end in the middle of it.
    """
    entries = (dict(_list_fields(memoryview(value))) for field, value in _list_fields(memoryview(content))
               if field == _METADATA)  # fmt: skip
    return {bytes(entry.get(_KEY, b"")).decode(): bytes(entry.get(_VALUE, b"")).decode() for entry in entries}


def _list_fields(content: memoryview) -> Iterator[tuple[int, memoryview]]:
    """List the fields of a message that are bytes: strings and messages; step over numbers."""
    at = 0
    while at < len(content):
        tag, at = _read_varint(content, at)
        kind = tag & 7
        if kind == _VARINT:
            _, at = _read_varint(content, at)
            continue
        if kind not in (_FIXED64, _FIXED32, _BYTES):
            raise ValueError("it is no ONNX file")
        size, at = _read_varint(content, at) if kind == _BYTES else ({_FIXED64: 8, _FIXED32: 4}[kind], at)
        if at + size > len(content):
            raise ValueError("it ends too early")
        if kind == _BYTES:
            yield tag >> 3, content[at : at + size]
        at += size


def _read_varint(content: memoryview, at: int) -> tuple[int, int]:
    """Read a number of 7 bits a byte, the lowest first; give it and where it ends."""
    number = 0
    for place, byte in enumerate(content[at : at + 10]):
        number |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return number, at + place + 1
    raise ValueError("it ends too early")
