"""Polygons drawn by the pixel-centre rule, the same in strips of any size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import shapely
from numpy.typing import NDArray
from shapely import Polygon, box

from glandseg.runtime.maps.rasterize import draw_polygon, draw_strips
from glandseg.runtime.maps.tile_map import TileMap

LayMap = Callable[[NDArray[Any]], TileMap]
TURN = np.linspace(0, 2 * np.pi, 200, endpoint=False)
STAR = np.column_stack([np.cos(TURN), np.sin(TURN)]) * (20 + 6 * np.sin(7 * TURN))[:, None]
RING = Polygon(STAR + 40.3, [0.4 * STAR + 40.3])


def test_a_pixel_is_inside_where_its_centre_is() -> None:
    y, x = np.mgrid[:80, :80] + 0.5
    drawn = np.zeros((80, 80), bool)
    for top, left, strip in draw_strips(RING):
        drawn[top : top + strip.shape[0], left : left + strip.shape[1]] = strip
    assert np.array_equal(drawn, shapely.contains_xy(RING, x, y))


@pytest.mark.parametrize("strip_px", [1, 100, 777, 1 << 20])
def test_strips_of_any_size_hold_the_same_pixels(strip_px: int) -> None:
    parts = list(draw_strips(RING, strip_px))
    assert np.array_equal(np.vstack([part for *_, part in parts]), next(draw_strips(RING))[2])
    assert [top for top, *_ in parts] == list(range(parts[0][0], parts[-1][0] + 1, len(parts[0][2])))
    assert max(part.size for *_, part in parts) <= max(strip_px, parts[0][2].shape[1])


def test_a_mask_clips_what_overhangs_it_and_keeps_what_it_holds(lay_map: LayMap) -> None:
    mask = lay_map(np.zeros((10, 12), np.uint8))
    for polygon in (box(0, 0, 3, 3), box(2, 2, 30, 5), box(10, 8, 20, 20), box(50, 50, 60, 60)):
        draw_polygon(polygon, mask)
    expected = np.zeros((10, 12), np.uint8)
    expected[:3, :3] = expected[2:5, 2:] = expected[8:, 10:] = 255
    assert np.array_equal(mask.read(0, 0, 10, 12), expected)
