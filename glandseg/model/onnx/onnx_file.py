"""An ONNX file read without the onnx package: its model card, and whether the whole model lies in it.

The file's hash is what a user trusts, so it must cover all that runs: weights and compiled graphs in other
files are refused. They can be named anywhere a tensor or node can stand, hence the walk over all messages.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.core.errors import BadInputError, EnvironmentLacksError, shorten
from glandseg.model.onnx.protobuf import list_fields, map_file

if TYPE_CHECKING:
    from glandseg.model.card import ModelCard

# Of ONNX's ModelProto: the field of the metadata, each an entry of key and value.
_METADATA, _KEY, _VALUE = 14, 1, 2
# Where tensors and nodes can lie, by the numbers that ONNX gives the fields of each message: weights,
# constants in attributes, sparse weights, the branches of If and Loop, functions, and graphs for training.
_CHILDREN = {
    "model": {7: "graph", 20: "training", 25: "function"},
    "training": {1: "graph", 2: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node", 11: "attribute"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
_EXTERNAL_DATA, _DATA_LOCATION = 13, 14
_NODE_OPERATOR = 4
_COMPILED_NODE = b"EPContext"  # its compiled graph may lie in a file that it names


def read_onnx_card(path: Path) -> ModelCard:
    """Read the card inside an ONNX file.

    Raises:
        BadInputError: if the file is missing, no ONNX file, or has no card.
        EnvironmentLacksError: if it cannot be read.
    """
    from glandseg.model.card import read_card  # brings numpy, which may be what `glandseg doctor` looks for

    with _mapped(path) as content:
        return read_card(read_metadata(content))


def read_metadata(content: bytes | memoryview) -> dict[str, str]:
    """Read the metadata of an ONNX file's bytes.

    Raises:
        ValueError: if they are no protobuf message, or end in the middle of it.
    """
    entries = (
        dict(_list_parts(value)) for number, value in _list_parts(memoryview(content)) if number == _METADATA
    )
    return {bytes(entry.get(_KEY, b"")).decode(): bytes(entry.get(_VALUE, b"")).decode() for entry in entries}


def check_one_file(path: Path) -> None:
    """Refuse an ONNX file that takes weights or compiled graphs from other files.

    Raises:
        BadInputError: if it does, is missing, or is no ONNX file.
        EnvironmentLacksError: if it cannot be read.
    """
    with _mapped(path) as content:
        elsewhere = next(_list_elsewhere(content), None)
    if elsewhere:
        raise BadInputError(
            f"{path}: {elsewhere} outside this file (external data), where its sha256 does not cover them. "
            "Export the model as one file: onnx.save(onnx.load(PATH), NEW) writes one."
        )


@contextlib.contextmanager
def _mapped(path: Path) -> Iterator[memoryview]:
    """Map a file while it is read; its faults are the user's, or the environment's."""
    if not path.is_file():
        raise BadInputError(f"{path}: no such model file. Check the path, or leave --model out.")
    try:
        yield map_file(path)
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: cannot be read ({error.strerror}). Give this user read permission."
        ) from None
    except ValueError as error:
        reason = "it is empty" if "empty file" in str(error) else shorten(error)
        raise BadInputError(
            f"{path}: not a model of glandseg, {reason}. Give one that `glandseg export` made."
        ) from None


def _list_parts(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    return ((number, value) for number, value in list_fields(message) if isinstance(value, memoryview))


def _list_elsewhere(content: memoryview) -> Iterator[str]:
    """List what lies outside the file; nested messages wait in a list, for they may nest deep."""
    waiting = [("model", content)]
    while waiting:
        kind, message = waiting.pop()
        if kind == "tensor":
            if _is_external(message):
                yield "its weights lie"
            continue
        for number, value in _list_parts(message):
            if number in _CHILDREN[kind]:
                waiting.append((_CHILDREN[kind][number], value))
            elif kind == "node" and number == _NODE_OPERATOR and bytes(value) == _COMPILED_NODE:
                yield "its compiled graph may lie"


def _is_external(tensor: memoryview) -> bool:
    """Return whether a tensor's numbers lie elsewhere, by its location or by naming a file."""
    return any(
        number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        for number, value in list_fields(tensor)
    )
