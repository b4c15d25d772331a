"""Untrusted JSON, parsed such that the result can be written again."""

from __future__ import annotations

import json
from typing import Any, NoReturn

_NESTED = "it is nested too deep"


def parse_json(text: str | bytes) -> Any:
    """Parse JSON.

    Args:
        text: JSON text; bytes are UTF-8.

    Raises:
        ValueError: It is not JSON, is nested too deep, or holds what cannot be written as UTF-8 or as JSON:
            half a character (a lone surrogate), NaN, Infinity.
    """
    try:
        value = json.loads(text, parse_constant=_refuse)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half a character (a lone surrogate)") from None
    except RecursionError:
        raise ValueError(_NESTED) from None
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}, which is not a number")
