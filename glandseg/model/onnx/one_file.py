"""Whether a model lies in one file: the file's hash must cover all that runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model.onnx.protobuf import list_fields, map_file

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


def check_one_file(path: Path) -> None:
    """Refuse an ONNX file that takes weights or compiled graphs from other files.

    Raises:
        BadInputError: if it does, or is no ONNX file.
        EnvironmentLacksError: if it cannot be read.
    """
    try:
        elsewhere = next(_list_elsewhere(map_file(path)), None)
    except OSError as error:
        raise EnvironmentLacksError(
            f"{path}: cannot be read ({error.strerror}). Give this user read permission."
        ) from None
    except ValueError as error:
        reason = "it is empty" if "empty" in str(error) else str(error)
        raise BadInputError(
            f"{path}: not a model of glandseg, {reason}. Give one that `glandseg export` made."
        ) from None
    if elsewhere:
        raise BadInputError(
            f"{path}: {elsewhere} outside this file (external data), where its sha256 does not cover them. "
            "Export the model as one file: onnx.save(onnx.load(PATH), NEW) writes one."
        )


def _list_elsewhere(content: memoryview) -> Iterator[str]:
    """List what lies outside the file; nested messages wait in a list, for they may nest deep."""
    waiting = [("model", content)]
    while waiting:
        kind, message = waiting.pop()
        if kind == "tensor":
            if _is_external(message):
                yield "its weights lie"
            continue
        for number, value in list_fields(message):
            if not isinstance(value, memoryview):
                continue
            if number in _CHILDREN[kind]:
                waiting.append((_CHILDREN[kind][number], value))
            elif kind == "node" and number == _NODE_OPERATOR and bytes(value) == _COMPILED_NODE:
                yield "its compiled graph may lie"


def _is_external(tensor: memoryview) -> bool:
    """Whether a tensor says that its numbers lie elsewhere, by its location or by naming a file."""
    return any(
        number == _EXTERNAL_DATA or (number == _DATA_LOCATION and value != 0)
        for number, value in list_fields(tensor)
    )
