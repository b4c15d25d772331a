"""Tables of images: CSV files that say where they are wrong.

Spreadsheets write commas, semicolons or tabs, and people write `Patient`, `patient_id` or `patient ID`: all
are read. A column or name that looks right and matches nothing is refused: ignoring it would put images of
one patient into training and test.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from glandseg.runtime.errors import BadInputError
from glandseg.training.data.image_file import IMAGE_SUFFIXES, name_some, normalize
from glandseg.training.paths import refuse_irregular

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
}
# What columns of patients are called elsewhere; refused where no column `patient` is.
LIKE_PATIENT = ("case", "subject", "donor", "person", "individual", "participant", "mrn", "pid")
NUMBERED = ("", "id", "ids", "no", "nr", "number", "name", "code", "key")
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # Excel and OpenDocument, and Excel before 2007
SEPARATORS = ",;\t|"


def read_table(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Read the rows of a CSV file, each with where it stands; none if there is no such file.

    Known columns go by the names in `COLUMNS`, however they are written; others keep theirs.

    Raises:
        BadInputError: If it is not a table, a column is missing or there twice, a column looks like the
            patient's and is not known, or the first column names something twice.
    """
    refuse_irregular(table)
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
    """Return one column of a CSV file by another; nothing if there is no such file."""
    return {row[name]: row[value] for _, row in read_table(table, (name, value))}


def has_column(table: Path, name: str) -> bool:
    """Tell whether a table has a column; False for what is no table."""
    try:
        return any(name in row for _, row in read_table(table, ()))
    except (BadInputError, OSError):
        return False


def read_patients(
    table: Path, images: Iterable[str], *, whole: bool = True
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Read which patient each image is of; nothing if there is no such file.

    Args:
        table: CSV file with the columns name and patient; names may have a suffix or a folder.
        images: Stems of the images that are there.
        whole: Whether every name must be of an image; otherwise only where images are left without patient.

    Returns:
        Patients by stem, those of images that are there; and notes.

    Raises:
        BadInputError: If names match no image, or two are of one image.
    """
    if not table.is_file():
        return {}, ()
    known = set(images)
    patients: dict[str, str] = {}
    strange: list[str] = []
    for where, row in read_table(table, ("name", "patient")):
        stem = match_stem(row["name"], known)
        if stem is None:
            strange.append(row["name"])
        elif stem in patients:
            raise BadInputError(f"{where} names {row['name']} again. Name each image once.")
        else:
            patients[stem] = row["patient"]
    lacking = [stem for stem in known if not patients.get(stem)]
    if strange and (whole or lacking):
        raise BadInputError(
            f"{table}: names {len(strange)} images that are not there, such as {name_some(strange)}. "
            "Write the names of the image files, or take the lines out."
        )
    notes = [f"{table.name} names {len(strange)} images that are not there"] if strange else []
    if lacking:
        notes.append(
            f"{len(lacking)} images have no patient in {table.name}, so each counts as its own: "
            f"{name_some(lacking)}"
        )
    return patients, tuple(notes)


def match_stem(name: str, stems: set[str]) -> str | None:
    """Find the stem that a table's name means: as it is, without an image's suffix, or without folders."""
    base = normalize(PurePosixPath(name.replace("\\", "/")).name)
    for candidate in (normalize(name), base):
        if candidate in stems:
            return candidate
    path = PurePosixPath(base)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES and path.stem in stems else None


def read_um(table: Path) -> float | None:
    """Return the um/px that a table's column `um_per_px` says; None without file, column or values.

    Raises:
        BadInputError: If a value is not above 0, or two differ.
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
    """Return the separator, how many lines precede the header, and the text from the header on.

    Excel's first line `sep=;` names it; otherwise it is what the header has most of, outside quotes.
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
        raise BadInputError(f"{table}: has two columns for {twice[0]}. Take one out.")
    _refuse_like_patient(table, header)
    return header


def _refuse_like_patient(table: Path, header: list[str]) -> None:
    """Refuse a column that may be the patient's under another name, which would be ignored."""
    if "patient" in header:
        return
    for name in header:
        folded = _fold(name)
        if "patient" in folded or any(folded == word + end for word in LIKE_PATIENT for end in NUMBERED):
            raise BadInputError(
                f"{table}: the column {name} looks like the patients', which is not read by that name. "
                "Name it patient; or, if it is something else, take it out."
            )


def _fold(name: str) -> str:
    """Return a column's name in small letters, without blanks, - and _."""
    return "".join(name.casefold().split()).translate(str.maketrans("", "", "-_"))


def _read_positive(text: str, where: str) -> float:
    try:
        value = float(text.replace(",", ".", 1))
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise BadInputError(f"{where}, column um_per_px: a number above 0 expected. Received: {text!r}")
    return value
