"""The table says the same to data frames and to spreadsheets of any country."""

from __future__ import annotations

import csv
import math
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from shapely import box

from glandseg.runtime.glands.measurements import QUANTITIES, Measurements, Surroundings, measure_gland
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.table import COLUMNS, write_csv

Write = Callable[..., str]
GLAND = Gland(number=3, polygon_px=box(2, 4, 22, 34), mean_probability=0.997, lumen_fraction=0.5)


@pytest.fixture
def row() -> Measurements:
    around = Surroundings(nearest_centroid_px=50, nearest_edge_px=20.5, tissue_piece=2)
    return measure_gland(
        GLAND, um_per_px=0.5, l0_per_px=2.0, slide_hash="s", model_hash="m", surroundings=around
    )


@pytest.fixture
def write(tmp_path: Path, make_found: Callable[..., SlideGlands]) -> Write:
    """Return a function that writes rows and returns the text."""

    def run(rows: list[Measurements], slide: str = "a", decimal: str = ".") -> str:
        path = tmp_path / "a.csv"
        with write_csv(path, make_found([], name=slide, csv_decimal=decimal), warnings.warn) as add:
            for row in rows:
                add(GLAND, row)
        return path.read_bytes().decode("utf-8")

    return run


def test_table_holds_units_and_the_same_bytes_twice(write: Write, row: Measurements) -> None:
    text = write([row, row])
    assert text == write([row, row])
    assert "\r" not in text
    first, _ = csv.DictReader(text.splitlines())
    assert list(first) == list(COLUMNS)
    assert (first["slide"], first["id"], first["number"]) == ("a", row.id, "3")
    assert {name: float(first[name]) for name in QUANTITIES} == row.list_quantities()


def test_numbers_have_all_their_decimals(write: Write, row: Measurements) -> None:
    (cells,) = csv.DictReader(write([row]).splitlines())
    assert cells["mean_probability"] == "0.9970"  # "0.997" is 997 where points separate thousands
    for name, (_, decimals) in QUANTITIES.items():
        assert len(cells[name].split(".")[1]) == decimals != 3


def test_a_decimal_comma_comes_with_semicolons(write: Write, row: Measurements) -> None:
    text = write([row], decimal=",")
    (cells,) = csv.DictReader(text.splitlines(), delimiter=";")
    assert cells["mean_probability"] == "0,9970"
    assert {name: float(cells[name].replace(",", ".")) for name in QUANTITIES} == row.list_quantities()
    assert "." not in text


def test_table_without_glands_is_its_header(write: Write) -> None:
    assert write([]) == ",".join(COLUMNS) + "\n"


def test_not_a_number_is_left_empty(write: Write, row: Measurements) -> None:
    broken = replace(row, mean_probability=math.nan, filled_solidity=math.inf)
    (cells,) = csv.DictReader(write([broken]).splitlines())
    assert (cells["mean_probability"], cells["filled_solidity"]) == ("", "")
    assert cells["area_um2"] == "150.00"


@pytest.mark.parametrize(
    "slide", ["a b", "a,b", "a;b", 'a"b', "a'b", "a=1", "2024-01-01 µ", "\N{CJK UNIFIED IDEOGRAPH-5927}", ""]
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_the_slide_is_named_as_it_is(write: Write, row: Measurements, slide: str, decimal: str) -> None:
    text = write([row], slide, decimal)
    (cells,) = csv.DictReader(text.splitlines(), delimiter={".": ",", ",": ";"}[decimal])
    assert cells["slide"] == slide


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "＝", "＋", "－", "＠"])
def test_the_slide_is_never_a_formula(write: Write, row: Measurements, start: str) -> None:
    text = write([row], f'{start}HYPERLINK("x";1,2)')
    (cells,) = csv.DictReader(text.splitlines())
    assert cells["slide"] == f'\'{start}HYPERLINK("x";1,2)'
    assert text.splitlines()[1].startswith(f"\"'{start}")


@pytest.mark.parametrize("slide", ["a\nb", "a\rb", "a\tb", "a\x1bb", "a\udce9b"])
def test_control_characters_and_broken_text_become_question_marks(
    write: Write, row: Measurements, slide: str
) -> None:
    assert write([row], slide).splitlines()[1].startswith('"a?b",')
