"""The page is what the ledger holds: no score without a result, nothing missing without a reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.results_ledger.definitions import FILE, read_definitions
from benchmarks.results_ledger.page import build_page
from benchmarks.results_ledger.reading import read_results
from benchmarks.results_ledger.result import FOLDER
from benchmarks.results_page import PAGE
from glandseg.core.errors import BadInputError
from glandseg.training.evaluation.significance import compare_groups
from tests.benchmarks.results_ledger.conftest import SCORES, MakeResult

NUMBER = re.compile(r"\d+\.\d\d(?:±\d+\.\d\d)?")
PAPERS = {"feng": "feng2025_cca_mpfp_plf.txt", "oeem": "li2022_oeem.txt"}


def find_rows(page: str, title: str) -> list[list[str]]:
    """Return the cells of the page's rows that name a row of ours."""
    lines = [line.strip("|").split("|") for line in page.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in cells] for cells in lines if any(title == c.strip() for c in cells)]


def test_the_page_is_the_one_that_the_ledger_makes() -> None:
    made = build_page(read_definitions(), read_results(FOLDER))
    assert PAGE.read_text(encoding="utf-8") == made, "run python benchmarks/results_page.py"


def test_without_results_the_page_holds_the_papers_numbers_alone() -> None:
    definitions = read_definitions()
    published = {
        value for table in definitions.tables for line in table.lines for value in line.published.values()
    }
    tables = build_page(definitions, ()).partition("## This package")[2]
    assert set(NUMBER.findall(tables)) == {each for each in published if "*" not in each}


def test_every_line_has_a_score_or_says_why_not() -> None:
    definitions = read_definitions()
    reasons = {row.lacking for row in definitions.rows.values()}
    reasons |= {line.lacking for table in definitions.tables for line in table.lines if line.lacking}
    scored = {definitions.rows[each.row].title for each in read_results(FOLDER)}
    tables = re.split("## By grade|## What they", PAGE.read_text(encoding="utf-8"))[0]
    headings = ("| method |", "| ---")
    rows = [line for line in tables.splitlines() if line.startswith("|") and not line.startswith(headings)]
    assert rows
    for row in rows:
        assert any(reason in row for reason in reasons) or any(f"| {title} |" in row for title in scored), row


def test_seeds_become_mean_and_deviation_and_few_are_said(make_result: MakeResult) -> None:
    definitions = read_definitions()
    title = definitions.rows["glas-outlines"].title
    results = [make_result("glas-outlines", seed, miou) for seed, miou in enumerate((80.0, 81.0, 82.0))]
    (row, *_) = find_rows(build_page(definitions, results), title)
    assert row[2] == "81.00±1.00" and row[-1] == "3"
    (row, *_) = find_rows(build_page(definitions, results[:2]), title)
    assert row[2] == "80.50±0.71" and row[-1] == "2 of 3"
    (row, *_) = find_rows(build_page(definitions, results[:1]), title)
    assert row[2] == "80.00" and row[-1] == "1 of 3"


def test_pairs_are_compared_where_both_have_two_seeds_on_the_same_data(make_result: MakeResult) -> None:
    definitions = read_definitions()
    assert ("glas-patches-default", "glas-outlines") in definitions.tables[0].pairs
    ours = [make_result("glas-patches-default", seed, 70.0 + seed) for seed in range(3)]
    theirs = [make_result("glas-outlines", seed, 80.0 + seed) for seed in range(3)]
    p = compare_groups([70.0, 71.0, 72.0], [80.0, 81.0, 82.0])
    assert f": p = {p:.2g} \\*\\*\\*\n" in build_page(definitions, [*ours, *theirs])
    assert ": p = " not in build_page(definitions, [*ours, *theirs[:1]])
    other = {**theirs[0].data, "sha256": "c" * 64}
    others = [make_result("glas-outlines", seed, 80.0 + seed, data=other) for seed in range(3)]
    assert ": p = " not in build_page(definitions, [*ours, *others])


def test_grades_and_origins_are_shown(make_result: MakeResult) -> None:
    groups = {"malignant": SCORES | {"miou": 71.25, "images": 27}}
    result = make_result("bundled-on-glas", None, groups=groups)
    page = build_page(read_definitions(), [result])
    title = read_definitions().rows["bundled-on-glas"].title
    assert [title, "glas testA", "malignant", "27", "71.25"] in [
        row[:5] for row in find_rows(page, "malignant")
    ]
    assert "[bundled-on-glas.json](../results/bundled-on-glas.json)" in page
    assert result.command in page.partition("## Commands")[2]


def test_a_result_of_other_data_or_of_no_row_is_refused(make_result: MakeResult) -> None:
    definitions = read_definitions()
    with pytest.raises(BadInputError, match="new-row: no row of results/tables.yaml"):
        build_page(definitions, [make_result("new-row", 0)])
    with pytest.raises(BadInputError, match="is of glas testA, its row of ebhi test"):
        build_page(definitions, [make_result("ebhi-outlines", 0)])
    few = {"kind": "glas", "part": "test", "images": 60, "sha256": "b" * 64}
    with pytest.raises(BadInputError, match="is of 60 images, its row of 80"):
        build_page(definitions, [make_result("glas-oeem", 0, data=few)])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("ours: [glas-outlines]}", "ours: [glas-outline]}", "glas-outline: no row"),
        ("lacking: method}", "lacking: unknown}", "not a definition of tables"),
        ("paper: oeem", "paper: other", "no paper other"),
        ("rows:\n", "rows:\n  new: {title: x, data: glas, part: testA, lacking: gpu}\n", "in no table: new"),
    ],
)
def test_a_damaged_definition_is_refused(old: str, new: str, message: str, tmp_path: Path) -> None:
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "tables.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(BadInputError, match=message):
        read_definitions(path)


@pytest.mark.shared
def test_published_numbers_are_those_of_the_papers(shared_data: Path) -> None:
    checked = 0
    for table in read_definitions().tables:
        if table.paper is None:
            continue
        text = (shared_data.parent / "papers" / PAPERS[table.paper]).read_text(encoding="utf-8")
        lines = text.splitlines()
        for line in table.lines:
            numbers = [value for value in line.published.values() if value[0].isdigit()]
            in_order = re.compile(".*".join(map(re.escape, numbers)))
            word = re.split(r"[ ,(]", line.method)[0] if table.title.startswith("Table 1") else ""
            assert not numbers or any(word in each and in_order.search(each) for each in lines), (
                f"{table.paper}, {table.title}: {line.method}"
            )
            checked += len(numbers)
    assert checked > 100
