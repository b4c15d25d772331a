"""YAML files of named values, read in bounded time whatever their content."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file

MAX_ALIASES = 20
MAX_BRACKETS = 50  # open at a time
MAX_LENGTH = 200_000


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of named values.

    Raises:
        BadInputError: If it is missing, not YAML, or holds no names.
    """
    check_regular_file(path)
    try:
        values = parse_yaml(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not YAML ({describe_fault(error)}). Correct it.") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: names with values expected, such as `tissue: colon`. Correct it.")
    return values


def parse_yaml(text: str) -> Any:
    """Parse YAML of limited length, nesting and number of aliases (`*name`).

    Nested aliases expand without bound, and nested brackets take quadratic time.
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"more than {MAX_LENGTH:,} characters")
    steps = ((mark in "[{") - (mark in "]}") for mark in text if mark in "[]{}")
    if max(itertools.accumulate(steps), default=0) > MAX_BRACKETS:
        raise ValueError("nested too deeply")
    if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > MAX_ALIASES:
        raise ValueError(f"more than {MAX_ALIASES} aliases")
    return yaml.safe_load(text)


def describe_fault(error: Exception) -> str:
    """Return on one line why a text is not YAML."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).partition("\n")[0][:160]
