"""The summary of a cohort: a row for each slide, as CSV, JSON and Markdown, beside the outputs."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from glandseg import RESEARCH_USE, __version__
from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.index_page import write_index_page
from glandseg.cohort.summary_row import SummaryRow, describe_states, summarise
from glandseg.core.atomic import explain_disk_errors, write_whole
from glandseg.core.csv_file import make_plain_cell

CSV, JSON, MARKDOWN, PAGE = "summary.csv", "summary.json", "summary.md", "index.html"
_SEPARATORS = {".": ",", ",": ";"}


def write_summary(slides: Sequence[CohortSlide], folder: Path, decimal: str = ".") -> list[SummaryRow]:
    """Write summary.csv, summary.json, summary.md and index.html.

    Args:
        slides: All slides of the cohort.
        folder: Where to write.
        decimal: Decimal mark of the table, "." or ",".

    Raises:
        EnvironmentLacksError: The folder cannot be written.
    """
    rows = summarise(slides, folder)
    with explain_disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with write_whole(folder / CSV) as part:
            _write_csv(part, rows, decimal)
        with write_whole(folder / JSON) as part:
            text = json.dumps(_make_json(rows), indent=1)
            part.write_text(text + "\n", encoding="utf-8")
        with write_whole(folder / MARKDOWN) as part:
            part.write_text(make_markdown(rows), encoding="utf-8", errors="replace")
        with write_whole(folder / PAGE) as part:
            write_index_page(part, rows, describe_states(rows))
    return rows


def make_markdown(rows: Sequence[SummaryRow]) -> str:
    """Return the summary as a Markdown table, with totals above it."""
    names = ("slide", "state", "glands", "gland mm2", "tissue mm2", "gland share", "s", "notes")
    lines = [_make_row(names), "|---" * len(names) + "|"]
    for row in rows:
        notes = " ".join(filter(None, (row.reason, *row.warnings)))
        numbers = [row.glands, row.gland_mm2, row.tissue_mm2, row.gland_share, row.seconds]
        lines.append(_make_row([row.slide, row.state, *map(_show, numbers), notes]))
    return f"# Glands of a cohort\n\n{describe_states(rows)}. {RESEARCH_USE}\n\n" + "\n".join(lines) + "\n"


def _write_csv(path: Path, rows: Sequence[SummaryRow], decimal: str) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, delimiter=_SEPARATORS[decimal], lineterminator="\n")
        table.writerow(field.name for field in fields(SummaryRow))
        for row in rows:
            table.writerow(_make_cell(value, decimal) for value in asdict(row).values())


def _make_cell(value: object, decimal: str) -> str:
    if isinstance(value, float):
        return str(value).replace(".", decimal)
    if isinstance(value, tuple):
        value = "; ".join(value)
    return "" if value is None else make_plain_cell(str(value))


def _make_json(rows: Sequence[SummaryRow]) -> dict[str, Any]:
    counts = Counter(row.state for row in rows)
    slides = [asdict(row) for row in rows]
    return {"glandseg": __version__, "use": RESEARCH_USE, "states": counts, "slides": slides}


def _make_row(cells: Sequence[str]) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|").replace("<", "&lt;") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _show(value: float | None) -> str:
    return "" if value is None else f"{value:g}"
