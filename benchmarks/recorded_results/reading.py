"""Recorded results, read back: each is whole, and those of one row differ in their seeds alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from benchmarks.recorded_results.result import Result
from glandseg.core.errors import BadInputError, shorten
from glandseg.core.json_text import parse_json

CURE = "Record it again with benchmarks/record_result.py."


def read_results(folder: Path) -> tuple[Result, ...]:
    """Read the results of a folder, by row and seed.

    Raises:
        BadInputError: If a file is damaged or misnamed, or results of one row differ in more than their seed.
    """
    results = tuple(sorted(map(_read, folder.glob("*.json")), key=lambda each: (each.row, each.seed or 0)))
    for row in {each.row for each in results}:
        _check_row([each for each in results if each.row == row])
    return results


def _read(path: Path) -> Result:
    try:
        values = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInputError(f"{path}: not a result ({shorten(error)}). {CURE}") from None
    names = {field.name for field in fields(Result)}
    if not isinstance(values, dict) or set(values) != names:
        raise BadInputError(f"{path}: a result has the entries {', '.join(sorted(names))}. {CURE}")
    result = Result(**values)
    if path.name != result.file_name:
        raise BadInputError(f"{path}: its row and seed make it {result.file_name}. {CURE}")
    return result


def _check_row(results: list[Result]) -> None:
    """Refuse results of one row that are not the same measurement with other seeds."""
    first = results[0]
    for other in results[1:]:
        same = {
            "data": first.data == other.data,
            "inference": first.inference == other.inference,
            "training": _drop_seeds(first.training) == _drop_seeds(other.training),
        }
        for name, is_same in same.items():
            if not is_same:
                raise BadInputError(
                    f"{other.file_name}: {name} differs from {first.file_name}, and results of one row may "
                    "differ in their seeds alone. Give one of them a row of its own."
                )
        if first.model["sha256"] == other.model["sha256"]:
            raise BadInputError(
                f"{other.file_name}: has the weights of {first.file_name}. Remove one of the files."
            )


def _drop_seeds(training: Mapping[str, Any] | None) -> Any:
    if training is None:
        return None
    settings = {
        key: {name: value for name, value in stage.items() if name != "fit"}
        | {"fit": {name: value for name, value in stage["fit"].items() if name != "seed"}}
        if isinstance(stage, dict) and "fit" in stage
        else stage
        for key, stage in training["settings"].items()
        if key != "split_seed"
    }
    return settings, training["data"], sum(training["images"].values())
