"""The definition of the ledger's page, `results/tables.yaml`: rows that are ours, and the papers' tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.results_ledger.result import FOLDER, Result
from glandseg.core.errors import BadInputError
from glandseg.training.yaml_file import read_yaml

FILE = FOLDER / "tables.yaml"


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row of scores that this package measures.

    Attributes:
        title: What was trained on what, in words.
        data: Kind of the data set that it is scored on, as in `DataSet`.
        part: Part that it is scored on, as in `choose_part`.
        images: Number of images of this part; None where it is not known.
        seeds: Number of seeds that it needs.
        lacking: Reason that the page gives while there is no result.
    """

    title: str
    data: str
    part: str
    images: int | None = None
    seeds: int = 1
    lacking: str

    def check(self, result: Result) -> None:
        """Raise BadInputError if a result was scored on other data than this row."""
        scored = result.data["kind"], result.data["part"]
        if scored != (self.data, self.part):
            raise BadInputError(
                f"{result.file_name}: is of {' '.join(scored)}, its row of {self.data} {self.part}. "
                "Give it a row of its own in results/tables.yaml."
            )
        if self.images not in (None, result.data["images"]):
            raise BadInputError(
                f"{result.file_name}: is of {result.data['images']} images, its row of {self.images}. "
                "Give it a row of its own in results/tables.yaml."
            )


@dataclass(frozen=True, kw_only=True)
class Line:
    """A method in a table.

    Attributes:
        method: Name in the paper.
        published: Published scores by name, as printed.
        ours: Keys of our rows for it.
        lacking: Reason that the page gives where there is no such row.
    """

    method: str
    published: Mapping[str, str]
    ours: tuple[str, ...]
    lacking: str


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table of the page.

    Attributes:
        title: Heading.
        paper: Paper that it is from, a key of `Definitions.papers`; None for one of our own.
        note: Text above the table.
        lines: Its methods.
        pairs: Pairs of our rows that are compared by a t-test.
    """

    title: str
    paper: str | None
    note: str
    lines: tuple[Line, ...]
    pairs: tuple[tuple[str, str], ...]


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """All rows and tables.

    Attributes:
        papers: Reference of each paper, by key.
        rows: Our rows, by key.
        tables: Tables, in the order of the page.
    """

    papers: Mapping[str, str]
    rows: Mapping[str, Row]
    tables: tuple[Table, ...]

    def find_row(self, key: str) -> Row:
        """Return a row.

        Raises:
            BadInputError: If there is none of this key.
        """
        if key not in self.rows:
            known = ", ".join(self.rows)
            raise BadInputError(f"{key}: no row of results/tables.yaml. Add it there, or use one of {known}.")
        return self.rows[key]


def read_definitions(path: Path = FILE) -> Definitions:
    """Read the definition of the page.

    Raises:
        BadInputError: If it is damaged, a table names an unknown row, reason or paper, or a row is in none.
    """
    values = read_yaml(path)
    try:
        reasons = values["reasons"]
        rows = {
            key: Row(**{**row, "lacking": reasons[row["lacking"]]}) for key, row in values["rows"].items()
        }
        tables = tuple(_read_table(table, reasons) for table in values["tables"])
        papers = values["papers"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadInputError(f"{path}: not a definition of tables ({error!r}). Correct it.") from None
    definitions = Definitions(papers=papers, rows=rows, tables=tables)
    shown = {key for table in tables for line in table.lines for key in line.ours}
    for table in tables:
        if table.paper is not None and table.paper not in papers:
            raise BadInputError(f"{path}: {table.title}: no paper {table.paper}. Add it to papers.")
        for key in (*shown, *(key for pair in table.pairs for key in pair)):
            definitions.find_row(key)
    if hidden := set(rows) - shown:
        raise BadInputError(f"{path}: in no table: {', '.join(sorted(hidden))}. Add each to one.")
    return definitions


def _read_table(values: Mapping[str, Any], reasons: Mapping[str, str]) -> Table:
    return Table(
        title=values["title"],
        paper=values.get("paper"),
        note=values.get("note", ""),
        lines=tuple(_read_line(line, reasons) for line in values["lines"]),
        pairs=tuple((first, second) for first, second in values.get("pairs", ())),
    )


def _read_line(values: Mapping[str, Any], reasons: Mapping[str, str]) -> Line:
    known = {"method", "ours", "lacking"}
    published = {name: value for name, value in values.items() if name not in known}
    ours = tuple(values.get("ours", ()))
    return Line(
        method=values["method"],
        published={
            name: f"{value:.2f}" if isinstance(value, float) else value for name, value in published.items()
        },
        ours=ours,
        lacking="" if ours else reasons[values["lacking"]],
    )
