"""Measurements against shapes whose values are known."""

from __future__ import annotations

import math
import uuid
from dataclasses import replace

import cv2
import numpy as np
import pytest
from shapely import Polygon, affinity, box
from skimage.measure import regionprops

from glandseg.runtime.glands.measurements import QUANTITIES, Measurements, identify_gland, measure_gland
from glandseg.runtime.glands.store import Gland


def measure(polygon: Polygon, um_per_px: float = 0.5, l0_per_px: float = 2.0) -> Measurements:
    gland = Gland(number=3, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.25)
    return measure_gland(gland, um_per_px=um_per_px, l0_per_px=l0_per_px, slide_hash="s", model_hash="m")


def draw_ellipse(a: float, b: float, angle: float = 0.0) -> Polygon:
    turn = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    ellipse = Polygon(np.column_stack([a * np.cos(turn), b * np.sin(turn)]))
    return affinity.translate(affinity.rotate(ellipse, angle), 5000, 3000)


def test_circle() -> None:
    circle = measure(draw_ellipse(40, 40))
    assert circle.eccentricity == pytest.approx(0, abs=1e-3)
    assert circle.filled_solidity == pytest.approx(1)
    assert circle.equivalent_diameter_um == pytest.approx(40, rel=1e-4)
    assert circle.outer_perimeter_um == pytest.approx(40 * math.pi, rel=1e-4)
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
    assert (measured.eccentricity, measured.filled_solidity) == pytest.approx((0, 1), abs=1e-6)
    assert (measured.area_um2, measured.outer_perimeter_um) == pytest.approx((100, 40))


def test_rectangle_has_the_moments_of_a_rectangle() -> None:
    assert measure(box(0, 0, 30, 10)).eccentricity == pytest.approx(math.sqrt(1 - 1 / 9))


def test_hole_lessens_the_area_only() -> None:
    ring = Polygon(box(0, 0, 20, 20).exterior, [box(5, 5, 15, 15).exterior])
    measured = measure(ring)
    assert measured.area_um2 == pytest.approx(75)
    assert (measured.outer_perimeter_um, measured.filled_solidity) == pytest.approx((40, 1))


def test_notch_lessens_solidity() -> None:
    notched = Polygon([(0, 0), (5, 0), (5, 10), (15, 10), (15, 0), (20, 0), (20, 20), (0, 20)])
    assert measure(notched).filled_solidity == pytest.approx(0.75)


@pytest.mark.parametrize("angle", [0, 30, 90, 137, 179])
def test_orientation_is_that_of_skimage(angle: float) -> None:
    polygon = draw_ellipse(80, 40, -angle)  # shapely turns as on paper, and y points down here
    mask = np.zeros((400, 400), np.uint8)
    outline = np.asarray(polygon.exterior.coords) - [4800, 2800]
    cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
    (region,) = regionprops(mask)
    expected = (math.degrees(region.orientation) + 90) % 180  # from the row axis to the x axis
    measured = measure(polygon).orientation_deg
    assert abs((measured - expected + 90) % 180 - 90) < 1
    assert abs((measured - angle + 90) % 180 - 90) < 0.01


def test_a_round_gland_has_no_orientation() -> None:
    circle = measure(draw_ellipse(40, 40))
    assert math.isnan(circle.orientation_deg)
    assert "orientation_deg" not in circle.list_quantities()


def test_circularity_and_convexity() -> None:
    circle, square = measure(draw_ellipse(40, 40)), measure(box(0, 0, 20, 20))
    assert (circle.circularity, circle.convexity) == pytest.approx((1, 1), abs=1e-4)
    assert (square.circularity, square.convexity) == pytest.approx((math.pi / 4, 1))
    notched = measure(Polygon([(0, 0), (5, 0), (5, 10), (15, 10), (15, 0), (20, 0), (20, 20), (0, 20)]))
    assert notched.convexity == pytest.approx(80 / 100)


def test_wall_thickness_of_a_ring_a_disc_and_a_strip() -> None:
    outer, inner = draw_ellipse(40, 40), draw_ellipse(30, 30)
    ring = Polygon(outer.exterior, [inner.exterior])
    assert measure(ring).wall_thickness_um == pytest.approx(0.5 * 10, rel=1e-3)
    assert measure(outer).wall_thickness_um == pytest.approx(0.5 * 40, rel=1e-3)
    assert measure(box(0, 0, 10_000, 10)).wall_thickness_um == pytest.approx(0.5 * 10, rel=1e-2)


def test_id_is_a_uuid_of_slide_model_and_outline() -> None:
    outlines = [box(0, 0, 9, 9), box(0, 0, 9, 9.0001)]
    ids = {
        identify_gland(slide, model, outline, scale)
        for slide in "ab"
        for model in "cd"
        for outline in outlines
        for scale in (1.0, 2.0)
    }
    assert len(ids) == 16
    assert all(uuid.UUID(one).version == 5 for one in ids)
    assert measure(outlines[0]).id == identify_gland("s", "m", outlines[0], 2.0)


def test_id_does_not_follow_the_number() -> None:
    gland = Gland(number=3, polygon_px=box(0, 0, 9, 9), mean_probability=0.9, lumen_fraction=0.25)
    first, second = (
        measure_gland(item, um_per_px=0.5, l0_per_px=2.0, slide_hash="s", model_hash="m")
        for item in (gland, replace(gland, number=4))
    )
    assert first.id == second.id


def test_names_in_qupath_are_not_those_of_its_own_measurements() -> None:
    names = {name for name, _ in QUANTITIES.values()}
    assert {"Filled solidity", "Outer perimeter um"} <= names
    assert names.isdisjoint({"Solidity", "Perimeter um", "Perimeter µm"})


def test_no_quantity_has_three_decimals() -> None:
    assert 3 not in {decimals for _, decimals in QUANTITIES.values()}


def test_not_a_number_is_left_out() -> None:
    broken = replace(measure(box(0, 0, 9, 9)), mean_probability=math.nan, filled_solidity=math.inf)
    assert {"mean_probability", "filled_solidity"}.isdisjoint(broken.list_quantities())
