"""The summary of a cohort, read back as its readers do."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import open_slide_runner
from glandseg.cohort.slide_state import claim_slide, read_slide_state, write_slide_state
from glandseg.cohort.summary import write_summary
from glandseg.core.errors import EnvironmentLacksError
from tests.cohort.cohort_folder import Reports, make_job, write_slides


@pytest.fixture
def cohort(tmp_path: Path, red_model: Path) -> list[CohortSlide]:
    """A slide that is done, one that has failed, and one that waits."""
    slides = [
        CohortSlide.of_path(slide.path, tmp_path / "out")
        for slide in write_slides(tmp_path / "in", ["a.tif", "b.tif", "=c.tif"])
    ]
    slides[1].path.write_text("text", encoding="utf-8")
    with open_slide_runner(make_job(red_model), lambda text: None) as runner:
        for slide in slides[:2]:
            runner.run(slide, Reports())
    return slides


class Links(HTMLParser):
    """The links of a page, and whatever it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        values = dict(attributes)
        if tag == "a":
            self.links.append(values["href"] or "")
        elif tag in ("script", "img") or (tag == "link" and values.get("href") != "data:,"):
            self.loads.append(tag)


def test_every_slide_has_a_row(cohort: list[CohortSlide], tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = write_summary(cohort, out)
    assert [row.state for row in rows] == ["done", "failed", "waiting"]
    with (out / "summary.csv").open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    assert [row["slide"] for row in table] == ["../in/a.tif", "../in/b.tif", "../in/=c.tif"]
    assert (table[0]["glands"], table[0]["exit_code"], table[1]["exit_code"]) == ("1", "0", "2")
    assert "holds no slide" in table[1]["reason"]
    facts = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    assert facts["states"] == {"done": 1, "failed": 1, "waiting": 1}
    assert facts["slides"][0]["gland_mm2"] == rows[0].gland_mm2
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert "3 slides: 1 done, 1 failed, 1 waiting" in text
    assert len([line for line in text.splitlines() if line.startswith("| ")]) == 4


def test_the_page_links_the_reports_and_loads_nothing(cohort: list[CohortSlide], tmp_path: Path) -> None:
    out = tmp_path / "out"
    write_summary(cohort, out)
    page = Links((out / "index.html").read_text(encoding="utf-8"))
    assert page.links == ["a.report.html"]
    assert (out / "a.report.html").is_file()
    assert page.loads == []


def test_decimal_commas_separate_by_semicolons(cohort: list[CohortSlide], tmp_path: Path) -> None:
    rows = write_summary(cohort, tmp_path / "out", ",")
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8", newline="") as file:
        first = next(csv.DictReader(file, delimiter=";"))
    assert first["gland_mm2"] == str(rows[0].gland_mm2).replace(".", ",")


def test_a_reason_can_forge_neither_markup_nor_formula(cohort: list[CohortSlide], tmp_path: Path) -> None:
    state = read_slide_state(cohort[1])
    assert state is not None
    with claim_slide(cohort[1]):
        write_slide_state(cohort[1], replace(state, reason="=HYPERLINK(1) | <script>alert(1)</script>"))
    write_summary(cohort, tmp_path / "out")
    assert "<script" not in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert "\\| &lt;script" in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8", newline="") as file:
        assert [row["reason"][:2] for row in csv.DictReader(file)][1] == "'="


def test_a_folder_that_cannot_be_written_is_said(cohort: list[CohortSlide], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(EnvironmentLacksError, match="cannot be written"):
        write_summary(cohort, tmp_path / "file")
