"""Checks of settings, with errors that name the setting as the user typed it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from glandseg.core.errors import BadInputError

MAX_VALUES = 32  # of a list
MAX_UM = 1000


def refuse_unknown(name: str, value: object, known: Iterable[object]) -> None:
    """Raise unless a value is one of the known ones."""
    if value not in known:
        raise BadInputError(f"{name}: one of {', '.join(map(str, known))}. Received: {value}")


def refuse_outside(settings: object, low: float, high: float, *names: str) -> None:
    """Raise unless each named attribute is a number from `low` to `high`."""
    for name in names:
        value = getattr(settings, name)
        if not value >= low:
            raise BadInputError(f"{name}: at least {low}. Received: {value}")
        if not value <= high:
            raise BadInputError(f"{name}: at most {high}. Received: {value}")


def refuse_outside_each(name: str, values: Sequence[float], low: float, high: float) -> None:
    """Raise unless a list is not too long and each value a number from `low` to `high`."""
    if not all(low <= value <= high for value in values) or len(values) > MAX_VALUES:
        raise BadInputError(
            f"{name}: at most {MAX_VALUES} values between {low} and {high}. Received: {list(values)[:9]}"
        )


def refuse_um(um_per_px: float | None) -> None:
    """Raise unless a um/px is None or a number above 0 and at most `MAX_UM`."""
    if um_per_px is not None and not 0 < um_per_px < math.inf:
        raise BadInputError(f"um_per_px: above 0. Received: {um_per_px}")
    if um_per_px is not None and um_per_px > MAX_UM:
        raise BadInputError(f"um_per_px: at most {MAX_UM}. Received: {um_per_px}")


def refuse_scales(scales: tuple[float, ...]) -> None:
    """Raise unless there are scales, each 0.1 to 10."""
    if not scales or min(scales) <= 0:
        raise BadInputError(f"scales: one or more above 0. Received: {list(scales)}")
    refuse_outside_each("scales", scales, 0.1, 10)
