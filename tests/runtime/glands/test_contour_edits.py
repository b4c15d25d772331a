"""Contours are clipped at the slide's edge, within the map's last pixels; simplified, they stay near."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import shapely
from shapely import Polygon, box

from glandseg.runtime.glands.contour_edits import clip_contour, simplify_contour
from glandseg.runtime.glands.store import Glands

Trace = Callable[..., Glands]


@pytest.mark.parametrize("extent_px", [(40.0, 30.0), (39.3, 29.001), (39.999, 30.0)])
@pytest.mark.parametrize("tolerance_px", [0.0, 0.1])
def test_no_outline_overhangs_the_slide(
    extent_px: tuple[float, float], tolerance_px: float, trace: Trace
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 40)).astype(np.uint8)
    glands = trace(noise, extent_px=extent_px, tolerance_px=tolerance_px)
    outlines = [gland.polygon_px for gland in glands]
    assert all(outline.is_valid for outline in outlines)
    bounds = shapely.bounds(outlines).T
    assert (bounds[0].min(), bounds[1].min()) == (0, 0)
    assert (bounds[2].max(), bounds[3].max()) == extent_px
    assert [gland.number for gland in glands] == list(range(1, len(glands) + 1))


def test_an_outline_inside_the_slide_stays_as_it_is() -> None:
    outline = box(3, 4, 39, 29)
    assert clip_contour(outline, (39.0, 29.0)) == [outline]
    assert clip_contour(outline, (39.0, 29.0))[0] is outline


def test_an_outline_held_together_beyond_the_edge_alone_becomes_two() -> None:
    comb = Polygon([(0, 0), (10, 0), (10, 9), (0, 9), (0, 6), (9.5, 6), (9.5, 3), (0, 3)])
    parts = clip_contour(comb, (9.2, 9.0))
    assert sorted(part.bounds for part in parts) == [(0, 0, 9.2, 3), (0, 6, 9.2, 9)]


def test_a_gland_of_a_slide_narrower_than_a_pixel_is_kept(trace: Trace) -> None:
    (gland,) = trace(np.full((50, 1), 255, np.uint8), extent_px=(0.4, 49.5))
    assert gland.polygon_px.bounds == pytest.approx((0, 0, 0.4, 49.5), abs=0.2)
    assert gland.polygon_px.bounds[2:] == (0.4, 49.5)
    assert gland.mean_probability == 1


def test_what_lies_beyond_the_slide_alone_is_no_gland(trace: Trace) -> None:
    edge = np.zeros((9, 9), np.uint8)
    edge[:, 8] = 255
    assert len(trace(edge, extent_px=(8.1, 9.0), min_gland_um2=3.0)) == 0


@pytest.mark.parametrize("tolerance_px", [0.05, 0.1, 0.5])
def test_a_simplified_outline_stays_near_and_has_fewer_points(tolerance_px: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 2000, endpoint=False)
    shell = np.column_stack([np.cos(angle), np.sin(angle)]) * (80 + 6 * np.sin(9 * angle))[:, None]
    outline = Polygon(shell, [0.4 * shell])
    simple = simplify_contour(outline, tolerance_px)
    assert simple.is_valid
    assert len(simple.interiors) == 1
    assert len(shapely.get_coordinates(simple)) < len(shapely.get_coordinates(outline)) / 3
    assert simple.hausdorff_distance(outline) <= tolerance_px + 1e-9


def test_an_outline_that_simplifying_would_spoil_stays_valid() -> None:
    thin = Polygon([(0, 0), (10, 0), (10, 10), (0, 10)], [[(1, 0.2), (5, 0.05), (9, 0.2), (9, 9), (1, 9)]])
    bent = Polygon([(0, 0), (5, 0.04), (10, 0), (10, 10), (0, 10)], list(thin.interiors))
    for whole in (thin, bent):
        simple = simplify_contour(whole, 0.3)
        assert simple.is_valid
        assert len(simple.interiors) == 1


def test_no_tolerance_keeps_every_point() -> None:
    square = Polygon([(0, 0), (5, 0), (10, 0), (10, 10), (0, 10)])
    assert simplify_contour(square, 0.0) is square
