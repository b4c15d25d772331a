"""Tables of images: CSV files, read with errors that name the line.

Spreadsheets write commas, semicolons or tabs, and people write `Patient`, `patient_id` or `patient ID`: all
are read. A column or name that looks right and matches nothing is an error: ignoring it would put images of
one patient into training and test.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

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
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # Excel and OpenDocument, and Excel before 2007
SEPARATORS = ",;\t|"


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
    try:
        separator, start, text = _find_separator(_read_text(table))
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
        header = _read_header(table, next(reader, []), columns)
        for cells in filter(any, reader):
            row = dict(zip(header, [cell.strip() for cell in cells] + [""] * len(header), strict=False))
            where, key = f"{table}: line {reader.line_num + start}", row[columns[0]] if columns else None
            if key is not None:
                if normalize(key) in seen:
                    raise BadInputError(f"{where} names {key} again. Name each image once.")
                seen.add(normalize(key))
            yield where, row
    except csv.Error as error:
        raise BadInputError(f"{table}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


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


def _read_text(table: Path) -> str:
    data = table.read_bytes()
    if data.startswith(SPREADSHEETS):
        raise BadInputError(f"{table}: is a spreadsheet with another name. Save it as CSV in UTF-8.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{table}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


def _find_separator(text: str) -> tuple[str, int, str]:
    """Return the separator, the number of lines before the header, and the text from the header on.

    Excel's first line `sep=;` names it; otherwise it is the most frequent separator in the header.
    """
    first, _, rest = text.partition("\n")
    named = first.strip().strip('"').lower()
    if named.startswith("sep=") and len(first.strip().strip('"')) == 5:
        return named[4], 1, rest
    if named == "sep=":  # a tab, which stripping removed
        return "\t", 1, rest
    counts = {separator: first.count(separator) for separator in SEPARATORS}
    return max(counts, key=lambda separator: counts[separator]) if any(counts.values()) else ",", 0, text


def _read_header(table: Path, cells: list[str], columns: tuple[str, ...]) -> list[str]:
    header = [COLUMNS.get(_fold(cell), cell.strip()) for cell in cells]
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
        folded = _fold(name)
        if "patient" in folded or any(folded == word + end for word in LIKE_PATIENT for end in NUMBERED):
            raise BadInputError(
                f"{table}: the column {name} looks like the patients', which is not read by that name. "
                "Name it patient, or remove it if it is something else."
            )


def _fold(name: str) -> str:
    """Return a column's name in lower case, without blanks, - and _."""
    return "".join(name.casefold().split()).translate(str.maketrans("", "", "-_"))


def _read_positive(text: str, where: str) -> float:
    try:
        value = float(text.replace(",", ".", 1))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInputError(f"{where}, column um_per_px: a number above 0 expected. Received: {text!r}")
    return value
