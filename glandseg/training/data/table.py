"""Tables of images: CSV files, read with errors that name the line.

Spreadsheets write commas, semicolons or tabs, and people write `Patient`, `patient_id` or `patient ID`: all
are read. A column or name that looks right and matches nothing is an error: ignoring it would put images of
one patient into training and test.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glandseg.core.csv_file import fold_name, read_csv
from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file
from glandseg.training.data.image_file import normalize

Row = dict[str, str]
COLUMNS = {
    "file": "file",
    "gland": "gland",
    "nongland": "non_gland",
    "patient": "patient",
    "patientid": "patient",
    "umperpx": "um_per_px",
    "mask": "mask",
    "name": "name",
    "class": "class",
    "part": "part",
}
# Names that columns of patients have elsewhere; an error where there is no column `patient`.
LIKE_PATIENT = ("case", "subject", "donor", "person", "individual", "participant", "mrn", "pid")
NUMBERED = ("", "id", "ids", "no", "nr", "number", "name", "code", "key")


def read_table(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Yield each row of a CSV file with its place for messages; nothing without such a file.

    Known columns get their names in `COLUMNS`, in any spelling; others keep theirs.

    Raises:
        BadInputError: If it is not a table, a column is missing or repeated, an unknown column looks like the
            patient's, or the first column repeats a name.
    """
    check_regular_file(table)
    if not table.is_file():
        return
    seen: set[str] = set()
    rows = read_csv(table)
    header = _read_header(table, next(rows, (0, []))[1], columns)
    for line, cells in rows:
        row = dict(zip(header, cells + [""] * len(header), strict=False))
        where, key = f"{table}: line {line}", row[columns[0]] if columns else None
        if key is not None:
            if normalize(key) in seen:
                raise BadInputError(f"{where} names {key} again. Name each image once.")
            seen.add(normalize(key))
        yield where, row


def read_column(table: Path, name: str, value: str) -> dict[str, str]:
    """Return the column `value` of a CSV file by the column `name`; empty without such a file."""
    return {row[name]: row[value] for _, row in read_table(table, (name, value))}


def has_column(table: Path, name: str) -> bool:
    """Return whether a table has a column; False for a file that is no table."""
    try:
        return any(name in row for _, row in read_table(table, ()))
    except (BadInputError, OSError):
        return False


def read_um(table: Path) -> float | None:
    """Return the um/px in a table's column `um_per_px`; None without file, column or values.

    Raises:
        BadInputError: If a value is not above 0, or values differ.
    """
    found: dict[float, str] = {}
    for where, row in read_table(table, ()):
        text = row.get("um_per_px", "")
        if text:
            found.setdefault(_read_positive(text, where), text)
    if len(found) > 1:
        raise BadInputError(
            f"{table}: column um_per_px says {' and '.join(sorted(found.values())[:2])}. One data set has "
            "one um/px: put the others into a folder of their own."
        )
    return next(iter(found), None)


def _read_header(table: Path, cells: list[str], columns: tuple[str, ...]) -> list[str]:
    header = [COLUMNS.get(fold_name(cell), cell.strip()) for cell in cells]
    lacking = sorted(set(columns) - set(header))
    if lacking:
        _refuse_like_patient(table, header)
        found = ", ".join(filter(None, header))[:120] or "none"
        raise BadInputError(
            f"{table}: lacks the column {', '.join(lacking)}. Add it to the header. Its columns are {found}."
        )
    twice = [name for name in COLUMNS.values() if header.count(name) > 1]
    if twice:
        raise BadInputError(f"{table}: has two columns for {twice[0]}. Remove one.")
    _refuse_like_patient(table, header)
    return header


def _refuse_like_patient(table: Path, header: list[str]) -> None:
    """Raise if a column may be the patient's under another name, which would be ignored."""
    if "patient" in header:
        return
    for name in header:
        folded = fold_name(name)
        if "patient" in folded or any(folded == word + end for word in LIKE_PATIENT for end in NUMBERED):
            raise BadInputError(
                f"{table}: the column {name} looks like the patients', which is not read by that name. "
                "Name it patient, or remove it if it is something else."
            )


def _read_positive(text: str, where: str) -> float:
    try:
        value = float(text.replace(",", ".", 1))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInputError(f"{where}, column um_per_px: a number above 0 expected. Received: {text!r}")
    return value
