"""YAML files of named values, read in bounded time whatever they hold."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import yaml

from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file

MOST_ALIASES = 20
MOST_BRACKETS = 50  # open at a time
LONGEST_YAML = 200_000


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML file of named values.

    Raises:
        BadInputError: if it is missing, not YAML, or holds no names.
    """
    check_regular_file(path)
    try:
        values = parse_yaml(path.read_text(encoding="utf-8")) or {}
    except OSError as error:
        raise BadInputError(f"{path}: cannot be read ({error.strerror}). Check the path.") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise BadInputError(f"{path}: not YAML ({describe_fault(error)}). Mend it.") from None
    if not isinstance(values, dict):
        raise BadInputError(f"{path}: names with values expected, such as `tissue: colon`. Mend it.")
    return values


def parse_yaml(text: str) -> Any:
    """Read YAML that is short, little nested, and whose aliases (`*name`) are few.

    Nested aliases grow without bound, and the time for nested brackets with their square.
    """
    if len(text) > LONGEST_YAML:
        raise ValueError(f"more than {LONGEST_YAML:,} characters")
    steps = ((mark in "[{") - (mark in "]}") for mark in text if mark in "[]{}")
    if max(itertools.accumulate(steps), default=0) > MOST_BRACKETS:
        raise ValueError("nested too deeply")
    if sum(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.SafeLoader)) > MOST_ALIASES:
        raise ValueError(f"more than {MOST_ALIASES} aliases")
    return yaml.safe_load(text)


def describe_fault(error: Exception) -> str:
    """Say on one line what is wrong with a text that is not YAML."""
    if isinstance(error, RecursionError):
        return "nested too deeply"
    return str(error).partition("\n")[0][:160]
