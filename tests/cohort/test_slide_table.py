"""Tables of slides, as spreadsheets save them."""

from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_table import read_slide_table
from glandseg.core.errors import BadInputError


def read(table: Path, out: Path | None = None) -> list[CohortSlide]:
    return read_slide_table(table, out, lambda text: None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.svs", "b.svs", "roi.geojson"):
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_every_column_is_read(folder: Path, separator: str, encoding: str) -> None:
    mpp = "0.25" if separator == "," else "0,25"
    rows = [
        ("Slide", "mpp", "ROI", "out", "stain"),
        ("a.svs", mpp, "roi.geojson", "there", "HE"),
        ("b.svs", *[""] * 4),
    ]
    table = folder / "slides.csv"
    table.write_text("\n".join(separator.join(row) for row in rows) + "\n", encoding=encoding)
    first, second = read(table, folder / "out")
    assert (first.path, first.mpp, first.roi, first.folder) == (
        folder / "a.svs",
        0.25,
        folder / "roi.geojson",
        folder / "there",
    )
    assert (second.path, second.mpp, second.roi, second.folder) == (
        folder / "b.svs",
        None,
        None,
        folder / "out",
    )


def test_columns_that_are_not_read_are_named(folder: Path) -> None:
    (folder / "slides.csv").write_text("slide,patient\na.svs,7\n", encoding="utf-8")
    said: list[str] = []
    read_slide_table(folder / "slides.csv", None, said.append)
    assert said == [f"{folder / 'slides.csv'}: columns that are not read: patient"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("slide\nmissing.svs\n", "line 2: .*missing.svs: no such file"),
        (
            "slide,mpp\na.svs,0.5\nb.svs,fine\n",
            "line 3: column mpp: a number of um/px above 0 expected. Received: 'fi",
        ),
        ("slide,mpp\na.svs,-1\n", "line 2: column mpp"),
        ("slide,mpp\na.svs,inf\n", "line 2: column mpp"),
        ("slide,roi\na.svs,none.geojson\n", "line 2: .*none.geojson: no such file. Correct column roi"),
        ("slide,mpp\n,0.5\n", "line 2: column slide is empty"),
        ("path\na.svs\n", "lacks the column slide. .* Its columns are path"),
        ("slide,slide\na.svs,b.svs\n", "has two columns slide"),
        ("slide\n", "lists no slide"),
        ("", "lacks the column slide"),
        (codecs.BOM_UTF16_LE.decode("latin-1") + "x", "not a CSV file"),
    ],
)
def test_what_is_wrong_is_named_by_its_line(folder: Path, text: str, message: str) -> None:
    table = folder / "slides.csv"
    table.write_bytes(text.encode("latin-1"))
    with pytest.raises(BadInputError, match=message):
        read(table)


def test_a_missing_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        read(tmp_path / "none.csv")
