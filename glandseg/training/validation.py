"""The rules that settings are refused by, told by the name that the user typed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from glandseg.core.errors import BadInputError

LONGEST_LIST = 32
LARGEST_UM = 1000


def refuse_unknown(name: str, value: object, known: Iterable[object]) -> None:
    """Raise unless a value is among the known ones."""
    if value not in known:
        raise BadInputError(f"{name}: one of {', '.join(map(str, known))}. Received: {value}")


def refuse_less(settings: object, least: float, *names: str) -> None:
    """Refuse settings of which a named one is less than `least`, or not a number."""
    for name in names:
        if not getattr(settings, name) >= least:
            raise BadInputError(f"{name}: at least {least}. Received: {getattr(settings, name)}")


def refuse_outside(settings: object, least: float, most: float, *names: str) -> None:
    """Refuse settings of which a named one is not between `least` and `most`, or not a number."""
    refuse_less(settings, least, *names)
    for name in names:
        if not getattr(settings, name) <= most:
            raise BadInputError(f"{name}: at most {most}. Received: {getattr(settings, name)}")


def refuse_outside_each(name: str, values: Sequence[float], least: float, most: float) -> None:
    """Refuse a list of which a value is not between `least` and `most`, or not a number."""
    if not all(least <= value <= most for value in values) or len(values) > LONGEST_LIST:
        raise BadInputError(
            f"{name}: at most {LONGEST_LIST} values between {least} and {most}. Received: {list(values)[:9]}"
        )


def refuse_um(um_per_px: float | None) -> None:
    """Refuse a um/px that is neither unknown nor a positive number."""
    if um_per_px is not None and not 0 < um_per_px < math.inf:
        raise BadInputError(f"um_per_px: above 0. Received: {um_per_px}")
    if um_per_px is not None and um_per_px > LARGEST_UM:
        raise BadInputError(f"um_per_px: at most {LARGEST_UM}. Received: {um_per_px}")
