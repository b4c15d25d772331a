"""The table of glands, as data frames and spreadsheets read it."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from glandseg.runtime.checks.fault import Fault
from glandseg.runtime.outputs.table import COLUMNS

_TEXTS = ("slide", "id")


def check_table(path: Path) -> Iterator[Fault]:
    """Yield faults of a CSV file: columns that are missing, cells that are no numbers, ids that repeat."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            header = file.readline().rstrip("\n")
            separator = ";" if ";" in header else ","
            names = header.split(separator)
            if missing := [name for name in COLUMNS if name not in names]:
                yield Fault("the header", f"lacks the column {missing[0]}")
                return
            yield from _check_rows(csv.reader(file, delimiter=separator), names, separator == ";")
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        yield Fault("the file", f"is not a CSV file in UTF-8 ({error})")


def _check_rows(rows: Iterator[list[str]], names: list[str], has_comma: bool) -> Iterator[Fault]:
    ids: set[int] = set()
    for line, cells in enumerate(rows, 2):
        if len(cells) != len(names):
            yield Fault(f"line {line}", f"has {len(cells)} cells, and the header {len(names)}")
            continue
        row = dict(zip(names, cells, strict=True))
        if hash(row["id"]) in ids:
            yield Fault(f"line {line}", f"has the id {row['id']} of an earlier one")
        ids.add(hash(row["id"]))
        for name in COLUMNS:
            if name not in _TEXTS and not _is_number(row[name], has_comma):
                yield Fault(f"line {line}", f"has in column {name} no number: {row[name][:40]!r}")


def _is_number(text: str, has_comma: bool) -> bool:
    if not text:
        return True  # what is not finite
    try:
        float(text.replace(",", ".", 1) if has_comma else text)
    except ValueError:
        return False
    return True
