"""CSV files as spreadsheets save them: commas, semicolons or tabs, in UTF-8 or UTF-16; and cells for them.

A spreadsheet takes a cell that begins with certain characters for a formula, so that text from outside is
marked as text.
"""

from __future__ import annotations

import codecs
import csv
import io
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from glandseg.core.errors import BadInputError

SEPARATORS = ",;\t|"
SPREADSHEETS = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0")  # Excel and OpenDocument, and Excel before 2007
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # Excel's "Unicode text"
_FORMULA_STARTS = tuple("=+-@＝＋－＠")


def read_csv(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not empty with the number of its last line, the header first.

    Cells lose the white space around them.

    Raises:
        BadInputError: The file is a spreadsheet or no CSV file.
    """
    separator, start, text = _find_separator(_read_text(path))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for cells in filter(any, reader):
            yield reader.line_num + start, [cell.strip() for cell in cells]
    except csv.Error as error:
        raise BadInputError(f"{path}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


def fold_name(name: str) -> str:
    """Return a column's name in lower case, without white space, - and _."""
    return "".join(name.casefold().split()).translate(str.maketrans("", "", "-_"))


def make_plain_cell(text: str) -> str:
    """Return text without control characters that no spreadsheet takes for a formula.

    Bytes of a file name that are not UTF-8 become "?", as control characters do.
    """
    plain = "".join("?" if unicodedata.category(letter) in ("Cc", "Cs") else letter for letter in text)
    return "'" + plain if plain.lstrip().startswith(_FORMULA_STARTS) else plain


def _read_text(path: Path) -> str:
    data = path.read_bytes()
    if data.startswith(SPREADSHEETS):
        raise BadInputError(f"{path}: is a spreadsheet with another name. Save it as CSV in UTF-8.")
    try:
        return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInputError(f"{path}: not a CSV file in UTF-8 ({error}). Save it as one.") from None


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
