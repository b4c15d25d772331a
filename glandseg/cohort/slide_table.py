"""The slides of a CSV file, with what is known of each: um/px, regions of interest, folder of the outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from glandseg.cohort.cohort_slide import CohortSlide, drop_repeats, part_names
from glandseg.core.callbacks import Say
from glandseg.core.csv_file import fold_name, read_csv
from glandseg.core.errors import BadInputError

COLUMNS = ("slide", "mpp", "roi", "out")


def read_slide_table(table: Path, out: Path | None, say: Say) -> list[CohortSlide]:
    """Read the slides of a CSV file with the column `slide`, and `mpp`, `roi` and `out` where it has them.

    Relative paths start at the table's folder.

    Args:
        table: CSV file.
        out: Folder of the outputs where the table says none; None for the folder of each slide.
        say: Called with a line on what is left out.

    Raises:
        BadInputError: The table cannot be read, or a line of it is wrong.
    """
    if not table.is_file():
        raise BadInputError(f"{table}: no such file. Give --list a CSV file with a column slide.")
    rows = read_csv(table)
    names = [fold_name(cell) for cell in next(rows, (0, []))[1]]
    _check_header(table, names)
    if unread := [name for name in names if name and name not in COLUMNS]:
        say(f"{table}: columns that are not read: {', '.join(unread)}")
    slides, repeats = drop_repeats(_read_rows(table, names, rows, out))
    for repeat in repeats:
        say(f"{repeat.path}: listed more than once, run once")
    if not slides:
        raise BadInputError(f"{table}: lists no slide. Add a line for each.")
    return part_names(slides)


def _check_header(table: Path, names: list[str]) -> None:
    if "slide" not in names:
        found = ", ".join(filter(None, names))[:120] or "none"
        raise BadInputError(
            f"{table}: lacks the column slide. Add it to the header. Its columns are {found}."
        )
    if twice := [name for name in COLUMNS if names.count(name) > 1]:
        raise BadInputError(f"{table}: has two columns {twice[0]}. Remove one.")


def _read_rows(
    table: Path, names: list[str], rows: Iterator[tuple[int, list[str]]], out: Path | None
) -> Iterator[CohortSlide]:
    for line, cells in rows:
        row = dict(zip(names, cells + [""] * len(names), strict=False))
        where = f"{table}: line {line}"
        path = _find(table, row["slide"], where, "slide")
        folder = table.parent / row["out"] if row.get("out") else out
        yield replace(
            CohortSlide.of_path(path, folder),
            mpp=_read_mpp(row.get("mpp", ""), where),
            roi=_find(table, row["roi"], where, "roi") if row.get("roi") else None,
        )


def _find(table: Path, text: str, where: str, column: str) -> Path:
    if not text:
        raise BadInputError(f"{where}: column {column} is empty. Name the file, or remove the line.")
    path = table.parent / text
    if not path.is_file():
        raise BadInputError(
            f"{where}: {path}: no such file. Correct column {column}; relative paths start at the table's "
            "folder."
        )
    return path


def _read_mpp(text: str, where: str) -> float | None:
    if not text:
        return None
    try:
        mpp = float(text.replace(",", ".", 1))
    except ValueError:
        mpp = 0.0
    if not (mpp > 0 and math.isfinite(mpp)):
        raise BadInputError(f"{where}: column mpp: a number of um/px above 0 expected. Received: {text!r}")
    return mpp
