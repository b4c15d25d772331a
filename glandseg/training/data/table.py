"""Tables of pictures: CSV files that say where they are wrong."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from glandseg.runtime.errors import BadInputError

Row = dict[str, str]


def read_table(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Give the rows of a CSV file, each with where it stands; none if there is no such file.

    Raises:
        BadInputError: if it is not a table, a column is missing, or the first column names something twice.
    """
    if not table.is_file():
        return
    seen: set[str] = set()
    try:
        with table.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            header = [name.strip() for name in next(reader, [])]
            lacking = sorted(set(columns) - set(header))
            if lacking:
                raise BadInputError(f"{table}: lacks the column {', '.join(lacking)}. Add it to the header.")
            for cells in filter(None, reader):
                row = dict(zip(header, [cell.strip() for cell in cells] + [""] * len(header), strict=False))
                where, key = f"{table}: line {reader.line_num}", row[columns[0]] if columns else None
                if key in seen:
                    raise BadInputError(f"{where} names {key} again. Name each image once.")
                if key is not None:
                    seen.add(key)
                yield where, row
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInputError(f"{table}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


def read_column(table: Path, name: str, value: str) -> dict[str, str]:
    """Give one column of a CSV file by another; nothing if there is no such file."""
    return {row[name]: row[value] for _, row in read_table(table, (name, value))}


def read_um(table: Path) -> float | None:
    """Give the um/px that a table's column `um_per_px` says; none without file, column or values.

    Raises:
        BadInputError: if a value is not above 0, or two differ.
    """
    found: dict[str, float] = {}
    for where, row in read_table(table, ()):
        text = row.get("um_per_px", "")
        if text and text not in found:
            found[text] = _read_positive(text, where)
    if len(found) > 1:
        raise BadInputError(
            f"{table}: column um_per_px says {' and '.join(sorted(found)[:2])}. One data set has one um/px: "
            "put the others into a folder of their own."
        )
    return next(iter(found.values()), None)


def _read_positive(text: str, where: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInputError(f"{where}, column um_per_px: a number above 0 expected. Received: {text!r}")
    return value
