"""The page of results: the papers' tables beside ours, and what each result was measured with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.recorded_results.definitions import Definitions, Line, Row, Table
from benchmarks.recorded_results.result import Result
from glandseg.training.evaluation.score_table import COLUMNS
from glandseg.training.evaluation.significance import compare_groups, mark_significance, summarise

PUBLISHED = {**COLUMNS, "p": "p", "cam": "class map mIoU %", "pseudo_mask": "pseudo mask mIoU %"}
SHORT = 12  # digits of a hash
Results = dict[str, list[Result]]  # of each row
INTRODUCTION = """\
<!-- Written by `python benchmarks/results_page.py`. Do not edit: change results/tables.yaml. -->

# Results: theirs and ours

On the left what the papers print, on the right what this package measured: the mean over seeds ± standard
deviation. Every number of ours is from a JSON file in `results/`, which `benchmarks/record_result.py` wrote;
what is missing says why. "Needs a GPU": the papers' networks at full size take months on a CPU.

mIoU and F1 are means over gland and non-gland; gland IoU and Dice are of gland alone. All are of the pixels
of all images pooled. What the papers print as F1 (Feng) and Dice (OEEM) is, but for a few rows,
2 mIoU / (1 + mIoU): compare it with our F1. Object scores are those of the GlaS contest, gland by gland.
The t-test is that of independent samples, on mIoU; it needs two seeds of both rows: \\*\\*\\* p < 0.001,
\\*\\* p < 0.005, \\* p < 0.05.
"""


def build_page(definitions: Definitions, results: Iterable[Result]) -> str:
    """Build the page as Markdown.

    Raises:
        BadInputError: If a result belongs to no row, or was scored on other data than its row's.
    """
    by_row: Results = {}
    for result in results:
        definitions.find_row(result.row).check(result)
        by_row.setdefault(result.row, []).append(result)
    sections = [INTRODUCTION]
    paper: str | None = None
    for table in definitions.tables:
        if table.paper and table.paper != paper:
            sections.append(f"## {definitions.papers[table.paper].strip()}\n")
        elif table is definitions.tables[0]:
            sections.append("## This package\n")
        paper = table.paper
        sections.append(_write_table(table, definitions, by_row))
    sections += _write_grades(definitions, by_row)
    sections += _write_origins(definitions, by_row)
    return "\n".join(sections)


def _write_table(table: Table, definitions: Definitions, by_row: Results) -> str:
    keys = [key for line in table.lines for key in line.ours]
    theirs = [name for name in PUBLISHED if any(name in line.published for line in table.lines)]
    ours = _list_columns([result for key in keys for result in by_row.get(key, ())])
    header = [
        "method",
        *(f"paper: {PUBLISHED[name]}" for name in theirs),
        "this package",
        *(COLUMNS[name] for name in ours),
        *(["seeds"] if ours else []),
    ]
    rows = [row for line in table.lines for row in _write_line(line, theirs, ours, definitions, by_row)]
    is_number = [name not in ("method", "this package") for name in header]
    parts = [f"### {table.title}\n", f"{table.note.strip()}\n" if table.note else ""]
    parts += [_format(header, is_number, rows), *_write_pairs(table, definitions, by_row)]
    return "\n".join(filter(None, parts))


def _write_line(
    line: Line, theirs: Sequence[str], ours: Sequence[str], definitions: Definitions, by_row: Results
) -> list[list[str]]:
    """Return a row for each of our rows, the first of which holds the published scores."""
    published = [line.method, *(line.published.get(name, "") for name in theirs)]
    others = [""] * len(published)
    blank = [""] * (len(ours) + 1 if ours else 0)
    if not line.ours:
        return [[*published, line.lacking, *blank]]
    rows = []
    for place, key in enumerate(line.ours):
        row, found = definitions.rows[key], by_row.get(key, [])
        cells = (
            [row.title, *_summarise(row, found, ours)] if found else [f"{row.title}: {row.lacking}", *blank]
        )
        rows.append([*(others if place else published), *cells])
    return rows


def _summarise(row: Row, found: Sequence[Result], columns: Sequence[str]) -> list[str]:
    """Return the spread of each score over seeds, and the number of seeds."""
    lists = ([result.scores[name] for result in found if name in result.scores] for name in columns)
    spreads = [str(summarise(values)) if values else "" for values in lists]
    return [*spreads, f"{len(found)} of {row.seeds}" if len(found) < row.seeds else str(len(found))]


def _write_pairs(table: Table, definitions: Definitions, by_row: Results) -> list[str]:
    """Return a line for each pair of rows that were both measured."""
    lines = []
    for first, second in table.pairs:
        groups = [by_row.get(key, []) for key in (first, second)]
        if (
            min(map(len, groups)) < 2
            or len({result.data["sha256"] for each in groups for result in each}) > 1
        ):
            continue
        p = compare_groups(*([result.scores["miou"] for result in each] for each in groups))
        titles = " against ".join(definitions.rows[key].title for key in (first, second))
        lines.append(f"{titles}: p = {p:.2g} {mark_significance(p)}".replace("*", "\\*").rstrip() + "\n")
    return lines


def _write_grades(definitions: Definitions, by_row: Results) -> list[str]:
    """Return the table of scores by grade and class; nothing without any."""
    graded = {key: results for key, results in by_row.items() if any(each.groups for each in results)}
    columns = _list_columns([result for results in graded.values() for result in results])
    rows = []
    for key in sorted(graded, key=list(definitions.rows).index):
        for grade in sorted({name for result in graded[key] for name in result.groups}):
            groups = [result.groups[grade] for result in graded[key] if grade in result.groups]
            row, images = definitions.rows[key], max(group["images"] for group in groups)
            spreads = [
                str(summarise(values)) if (values := [each[name] for each in groups if name in each]) else ""
                for name in columns
            ]
            rows.append([row.title, f"{row.data} {row.part}", grade, f"{images:.0f}", *spreads])
    header = ["this package", "images of", "grade", "images", *(COLUMNS[name] for name in columns)]
    table = _format(header, [False] * 3 + [True] * (len(columns) + 1), rows)
    return [f"## By grade\n\n{table}"] if rows else []


def _write_origins(definitions: Definitions, by_row: Results) -> list[str]:
    """Return what each result was measured with, and the commands of each row."""
    rows, commands = [], []
    for key in sorted(by_row, key=list(definitions.rows).index):
        for result in by_row[key]:
            machine, seconds = result.machine, result.seconds["training"]
            rows.append(
                [
                    f"[{result.file_name}](../results/{result.file_name})",
                    result.date,
                    result.commit[:SHORT],
                    result.model["sha256"][:SHORT],
                    f"{result.data['images']} of {result.data['kind']} {result.data['part']}",
                    result.data["sha256"][:SHORT],
                    (result.training or {}).get("device", ""),
                    ", ".join(filter(None, (machine["processor"], *machine["flags"], machine["gpu"]))),
                    "" if seconds is None else f"{seconds:.0f}",
                    f"{result.seconds['evaluation']:.0f}",
                ]
            )
        commands += [result.training["command"] for result in by_row[key] if result.training]
        commands += [result.command for result in by_row[key]]
    header = [
        "result",
        "date",
        "commit",
        "weights sha256",
        "images",
        "data sha256",
        "trained on",
        "processor",
        "training s",
        "evaluation s",
    ]
    table = _format(header, [False] * 8 + [True] * 2, rows)
    listed = "".join(f"{command}\n" for command in commands)
    return [
        f"## What they were measured with\n\nThe commit is that of the evaluation.\n\n{table}",
        f"## Commands\n\n```sh\n{listed}```\n",
    ]


def _list_columns(results: Sequence[Result]) -> list[str]:
    return [name for name in COLUMNS if any(name in result.scores for result in results)]


def _format(header: Sequence[str], is_number: Sequence[bool], rows: Sequence[Sequence[str]]) -> str:
    ruler = ["--:" if number else "---" for number in is_number]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (header, ruler, *rows))
