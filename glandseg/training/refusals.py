"""The rules that settings are refused by, told by the name that the user typed."""

from __future__ import annotations

import math

from glandseg.runtime.errors import BadInputError


def refuse_unknown(name: str, value: str, known: tuple[str, ...]) -> None:
    """Refuse a value that is not among the known ones."""
    if value not in known:
        raise BadInputError(f"{name}: one of {', '.join(known)}. Received: {value}")


def refuse_less(settings: object, least: float, *names: str) -> None:
    """Refuse settings of which a named one is less than `least`, or not a number."""
    for name in names:
        if not getattr(settings, name) >= least:
            raise BadInputError(f"{name}: at least {least}. Received: {getattr(settings, name)}")


def refuse_um(um_per_px: float | None) -> None:
    """Refuse a um/px that is neither unknown nor a positive number."""
    if um_per_px is not None and not 0 < um_per_px < math.inf:
        raise BadInputError(f"um_per_px: above 0. Received: {um_per_px}")
