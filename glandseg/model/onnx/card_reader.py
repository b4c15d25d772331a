"""The model card of an ONNX file, read without the onnx package: its metadata lie at the top of the file."""

from __future__ import annotations

from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.model.card import CardError, ModelCard, read_card
from glandseg.model.onnx.protobuf import list_messages, map_file

# Of ONNX's ModelProto: the field of the metadata, each an entry of key and value.
_METADATA, _KEY, _VALUE = 14, 1, 2


def read_onnx_card(path: Path) -> ModelCard:
    """Read the card inside an ONNX file.

    Raises:
        BadInputError: if the file is no ONNX file or has no card.
    """
    try:
        return read_card(read_metadata(map_file(path)))
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (CardError, ValueError) as error:
        raise BadInputError(
            f"{path}: not a model of glandseg, {error}. Give one that `glandseg export` made."
        ) from None


def read_metadata(content: bytes | memoryview) -> dict[str, str]:
    """Read the metadata of an ONNX file's bytes.

    Raises:
        ValueError: if they are no protobuf message, or end in the middle of it.
    """
    fields = list_messages(memoryview(content))
    entries = (dict(list_messages(value)) for number, value in fields if number == _METADATA)
    return {bytes(entry.get(_KEY, b"")).decode(): bytes(entry.get(_VALUE, b"")).decode() for entry in entries}
