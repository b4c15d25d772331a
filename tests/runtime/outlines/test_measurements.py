"""Measurements against shapes whose values are known, and the table that holds them."""

from __future__ import annotations

import csv
import math
import uuid
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from shapely import Polygon, affinity, box

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.outlines.gland_spool import Gland
from glandseg.runtime.outlines.measurements import Measurements, identify_gland, measure_gland, write_csv


def measure(polygon: Polygon, um_per_px: float = 0.5, l0_per_px: float = 2.0) -> Measurements:
    gland = Gland(number=3, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.25)
    return measure_gland(gland, um_per_px=um_per_px, l0_per_px=l0_per_px, slide_hash="s", model_hash="m")


def write(path: Path, rows: list[Measurements]) -> None:
    with write_csv(path) as write_row:
        for row in rows:
            write_row(row)


def draw_ellipse(a: float, b: float, angle: float = 0.0) -> Polygon:
    turn = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    ellipse = Polygon(np.column_stack([a * np.cos(turn), b * np.sin(turn)]))
    return affinity.translate(affinity.rotate(ellipse, angle), 5000, 3000)


def test_circle() -> None:
    circle = measure(draw_ellipse(40, 40))
    assert circle.eccentricity == pytest.approx(0, abs=1e-3)
    assert circle.solidity == pytest.approx(1)
    assert circle.equivalent_diameter_um == pytest.approx(40, rel=1e-4)
    assert circle.perimeter_um == pytest.approx(40 * math.pi, rel=1e-4)
    assert circle.area_um2 == pytest.approx(400 * math.pi, rel=1e-4)
    assert circle.area_px_l0 == pytest.approx(6400 * math.pi, rel=1e-4)


@pytest.mark.parametrize("angle", [0, 30, 90, 137])
def test_ellipse(angle: float) -> None:
    ellipse = measure(draw_ellipse(80, 40, angle))
    assert ellipse.eccentricity == pytest.approx(math.sqrt(3) / 2, rel=1e-6)
    assert (ellipse.centroid_x_um, ellipse.centroid_y_um) == pytest.approx((2500, 1500))
    assert (ellipse.centroid_x_l0, ellipse.centroid_y_l0) == pytest.approx((10000, 6000))


@pytest.mark.parametrize("reverse", [False, True])
def test_square(reverse: bool) -> None:
    square = box(10, 20, 30, 40).reverse() if reverse else box(10, 20, 30, 40)
    measured = measure(square)
    assert (measured.eccentricity, measured.solidity) == pytest.approx((0, 1), abs=1e-6)
    assert (measured.area_um2, measured.perimeter_um) == pytest.approx((100, 40))


def test_rectangle_has_the_moments_of_a_rectangle() -> None:
    assert measure(box(0, 0, 30, 10)).eccentricity == pytest.approx(math.sqrt(1 - 1 / 9))


def test_hole_lessens_the_area_only() -> None:
    ring = Polygon(box(0, 0, 20, 20).exterior, [box(5, 5, 15, 15).exterior])
    measured = measure(ring)
    assert measured.area_um2 == pytest.approx(75)
    assert (measured.perimeter_um, measured.solidity) == pytest.approx((40, 1))


def test_notch_lessens_solidity() -> None:
    notched = Polygon([(0, 0), (5, 0), (5, 10), (15, 10), (15, 0), (20, 0), (20, 20), (0, 20)])
    assert measure(notched).solidity == pytest.approx(0.75)


def test_id_is_a_uuid_of_slide_model_and_number() -> None:
    ids = {identify_gland(slide, model, n) for slide in "ab" for model in "cd" for n in (1, 2)}
    assert len(ids) == 8
    assert all(uuid.UUID(one).version == 5 for one in ids)
    assert measure(box(0, 0, 9, 9)).id == identify_gland("s", "m", 3)


def test_table_holds_units_and_the_same_bytes_twice(tmp_path: Path) -> None:
    rows = [measure(draw_ellipse(40, 30)), measure(box(0, 0, 9, 9))]
    write(tmp_path / "a.csv", rows)
    write(tmp_path / "b.csv", rows)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    first, second = csv.DictReader((tmp_path / "a.csv").read_text(encoding="utf-8").splitlines())
    assert float(first["area_um2"]) == pytest.approx(rows[0].area_um2, abs=0.005)
    assert second["id"] == rows[1].id
    assert b"\r" not in (tmp_path / "a.csv").read_bytes()


def test_table_without_glands_is_its_header(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [])
    text = (tmp_path / "a.csv").read_text(encoding="utf-8")
    assert text.startswith("id,number,area_um2,")
    assert text.count("\n") == 1


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    broken = replace(measure(box(0, 0, 9, 9)), mean_probability=math.nan, solidity=math.inf)
    assert {"mean_probability", "solidity"}.isdisjoint(broken.list_quantities())
    write(tmp_path / "a.csv", [broken])
    text = (tmp_path / "a.csv").read_text(encoding="utf-8").lower()
    assert "nan" not in text.split("\n")[1]
    assert "inf" not in text.split("\n")[1]


@pytest.mark.parametrize(("um_per_px", "l0_per_px"), [(0, 1), (math.nan, 1), (1, -1), (1, math.inf)])
def test_scales_out_of_range_are_refused(um_per_px: float, l0_per_px: float) -> None:
    with pytest.raises(BadInputError, match="_per_px: must be a number above 0"):
        measure(box(0, 0, 9, 9), um_per_px, l0_per_px)
