"""The table says the same to data frames and to spreadsheets of any country."""

from __future__ import annotations

import csv
import math
from dataclasses import replace
from pathlib import Path

import pytest
from shapely import box

from glandseg.runtime.glands.measurements import QUANTITIES, Measurements, measure_gland
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.table import COLUMNS, write_csv


@pytest.fixture
def row() -> Measurements:
    gland = Gland(number=3, polygon_px=box(2, 4, 22, 24), mean_probability=0.997, lumen_fraction=0.5)
    return measure_gland(gland, um_per_px=0.5, l0_per_px=2.0, slide_hash="s", model_hash="m")


def write(path: Path, rows: list[Measurements], slide: str = "a", decimal: str = ".") -> str:
    with write_csv(path, slide, decimal) as write_row:
        for row in rows:
            write_row(row)
    return path.read_bytes().decode("utf-8")


def test_table_holds_units_and_the_same_bytes_twice(tmp_path: Path, row: Measurements) -> None:
    text = write(tmp_path / "a.csv", [row, row])
    assert text == write(tmp_path / "b.csv", [row, row])
    assert "\r" not in text
    first, _ = csv.DictReader(text.splitlines())
    assert list(first) == list(COLUMNS)
    assert (first["slide"], first["id"], first["number"]) == ("a", row.id, "3")
    assert {name: float(first[name]) for name in QUANTITIES} == row.list_quantities()


def test_numbers_have_all_their_decimals(tmp_path: Path, row: Measurements) -> None:
    (cells,) = csv.DictReader(write(tmp_path / "a.csv", [row]).splitlines())
    assert cells["mean_probability"] == "0.9970"  # "0.997" is 997 where points separate thousands
    for name, (_, decimals) in QUANTITIES.items():
        assert len(cells[name].split(".")[1]) == decimals != 3


def test_a_decimal_comma_comes_with_semicolons(tmp_path: Path, row: Measurements) -> None:
    text = write(tmp_path / "a.csv", [row], decimal=",")
    (cells,) = csv.DictReader(text.splitlines(), delimiter=";")
    assert cells["mean_probability"] == "0,9970"
    assert {name: float(cells[name].replace(",", ".")) for name in QUANTITIES} == row.list_quantities()
    assert "." not in text


def test_table_without_glands_is_its_header(tmp_path: Path) -> None:
    assert write(tmp_path / "a.csv", []) == ",".join(COLUMNS) + "\n"


def test_not_a_number_is_left_empty(tmp_path: Path, row: Measurements) -> None:
    broken = replace(row, mean_probability=math.nan, filled_solidity=math.inf)
    (cells,) = csv.DictReader(write(tmp_path / "a.csv", [broken]).splitlines())
    assert (cells["mean_probability"], cells["filled_solidity"]) == ("", "")
    assert cells["area_um2"] == "100.00"


@pytest.mark.parametrize(
    "slide", ["a b", "a,b", "a;b", 'a"b', "a'b", "a=1", "2024-01-01 µ", "\N{CJK UNIFIED IDEOGRAPH-5927}", ""]
)
@pytest.mark.parametrize("decimal", [".", ","])
def test_the_slide_is_named_as_it_is(tmp_path: Path, row: Measurements, slide: str, decimal: str) -> None:
    text = write(tmp_path / "a.csv", [row], slide, decimal)
    (cells,) = csv.DictReader(text.splitlines(), delimiter={".": ",", ",": ";"}[decimal])
    assert cells["slide"] == slide


@pytest.mark.parametrize("start", ["=", "+", "-", "@", " =", "＝", "＋", "－", "＠"])
def test_the_slide_is_never_a_formula(tmp_path: Path, row: Measurements, start: str) -> None:
    text = write(tmp_path / "a.csv", [row], f'{start}HYPERLINK("x";1,2)')
    (cells,) = csv.DictReader(text.splitlines())
    assert cells["slide"] == f'\'{start}HYPERLINK("x";1,2)'
    assert text.splitlines()[1].startswith(f"\"'{start}")


@pytest.mark.parametrize("slide", ["a\nb", "a\rb", "a\tb", "a\x1bb", "a\udce9b"])
def test_control_characters_and_broken_text_become_question_marks(
    tmp_path: Path, row: Measurements, slide: str
) -> None:
    assert write(tmp_path / "a.csv", [row], slide).splitlines()[1].startswith('"a?b",')
