"""Inputs and outputs of a model's graph, compared with windows and probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from glandseg.core.errors import BadInputError, shorten, show
from glandseg.model.windows import WINDOW_PX

INPUT, OUTPUT = "windows", "probabilities"
_KIND = "tensor(uint8)"
_WINDOW = (WINDOW_PX, WINDOW_PX, 3)
_CURE = "Give a model that `glandseg export` made."


def check_ports(
    path: Path, inputs: Sequence[Any], outputs: Sequence[Any], classes: int, batch: int | None = None
) -> None:
    """Refuse a graph that does not turn windows into probabilities.

    Args:
        path: Model file, for the message.
        inputs: Inputs of the graph, each with its `name`, `shape` and `type`, as ONNX Runtime spells them.
        outputs: Outputs of the graph, likewise.
        classes: Number of channels that its card names.
        batch: Batch that the session was fixed to; None where the batch must be free.

    Raises:
        BadInputError: if a name, type, rank, size or number of inputs or outputs differs.
    """
    sides = (
        ("takes", inputs, INPUT, _WINDOW),
        ("answers with", outputs, OUTPUT, (classes, WINDOW_PX, WINDOW_PX)),
    )
    for verb, ports, name, shape in sides:
        if fault := _find_fault(ports, name, shape, batch):
            raise BadInputError(f"{path}: not a model of glandseg, it {verb} {fault}. {_CURE}")


def check_answers(answers: Any, windows: int, classes: int, where: str) -> None:
    """Refuse answers whose shape or type is not that of probabilities, whatever the graph declares.

    Args:
        answers: What the network returned.
        windows: Number of windows that went in.
        classes: Number of channels that its card names.
        where: Model file, for the message.

    Raises:
        BadInputError: if they are not (windows, classes, 320, 320) uint8.
    """
    expected = (windows, classes, WINDOW_PX, WINDOW_PX)
    shape, kind = getattr(answers, "shape", ()), getattr(answers, "dtype", type(answers).__name__)
    if shape != expected or kind != "uint8":
        wanted = _list(("windows", *expected[1:]))
        raise BadInputError(
            f"{where}: not a model of glandseg, it answers {windows} windows with {_list(shape)} {kind}, "
            f"not {wanted} uint8. {_CURE}"
        )


def _find_fault(ports: Sequence[Any], name: str, shape: tuple[int, ...], batch: int | None) -> str | None:
    """Return how ports differ from the expected one, None where they do not."""
    try:
        names = ", ".join(f"'{show(port.name, 40)}'" for port in ports)
    except UnicodeError as error:  # ONNX Runtime decodes names when they are read
        return f"a name that is not text ({shorten(error)})"
    if [port.name for port in ports] != [name]:
        return f"{names or 'nothing'}, not '{name}'{' alone' if len(ports) > 1 else ''}"
    (port,) = ports
    wanted = _list(("batch", *shape))
    difference = f"{names} as {_list(port.shape)} {show(port.type, 40)}, not {wanted} {_KIND}"
    if port.type != _KIND or len(port.shape) != 1 + len(shape):
        return difference
    free, *sides = port.shape
    if isinstance(free, int) and free != batch:
        return f"{names} in batches of {free} alone, not of any size"
    fits = all(not isinstance(side, int) or side == size for side, size in zip(sides, shape, strict=True))
    return None if fits else difference


def _list(shape: Any) -> str:
    return f"({', '.join('?' if side is None else show(side, 20) for side in shape)})"
