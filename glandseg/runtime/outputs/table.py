"""The table of a slide's glands: CSV that data frames, databases and spreadsheets read alike.

The slide's name is the only text that comes from outside, so it is quoted.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from glandseg.core.csv_file import make_plain_cell
from glandseg.runtime.glands.measurements import QUANTITIES, Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn

COLUMNS = ("slide", "id", "number", *QUANTITIES)
_SEPARATORS = {".": ",", ",": ";"}  # as spreadsheets of countries with that decimal mark expect


@contextmanager
def write_csv(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    r"""Write one row per gland: UTF-8, "\n" line ends, units named in the header, "" for what is not finite.

    The slide's name is the first cell of every row, so that tables can be concatenated.
    """
    name, separator = _quote(found.name), _SEPARATORS[found.csv_decimal]
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=separator, lineterminator="\n")
        table.writerow(COLUMNS)

        def add(gland: Gland, row: Measurements) -> None:
            file.write(name + separator)
            table.writerow([row.id, row.number, *_format(row, found.csv_decimal)])

        yield add


def _format(row: Measurements, decimal: str) -> Iterator[str]:
    """Yield the measurements with all their decimals, "" for those that are not finite."""
    values = row.list_quantities()
    for name, (_, decimals) in QUANTITIES.items():
        yield f"{values[name]:.{decimals}f}".replace(".", decimal) if name in values else ""


def _quote(name: str) -> str:
    """Return a name as a quoted cell."""
    return '"' + make_plain_cell(name).replace('"', '""') + '"'
