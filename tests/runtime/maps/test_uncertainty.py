"""Suggested regions lie where probabilities are near a half, the least certain first, none overlapping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.maps.uncertainty import SIDE_UM, Suggestion, suggest_regions

LayMap = Callable[[NDArray[Any]], TileMap]
UM = 5.0  # a square is 100 px wide
SIDE = round(SIDE_UM / UM)


def find_corners(found: tuple[Suggestion, ...], l0_per_px: float = 1.0) -> list[tuple[float, float]]:
    return [(region.left_l0 / l0_per_px, region.top_l0 / l0_per_px) for region in found]


@pytest.fixture
def doubt() -> NDArray[np.uint8]:
    """Lay three squares of falling doubt on a sure map."""
    probability = np.zeros((450, 800), np.uint8)
    probability[:, 400:] = 255
    for left, top, value in ((100, 50, 100), (575, 300, 128), (300, 200, 30)):
        probability[top : top + SIDE, left : left + SIDE] = value
    return probability


def test_the_least_certain_squares_come_first(doubt: NDArray[np.uint8], lay_map: LayMap) -> None:
    found = suggest_regions(lay_map(doubt), UM, 2.5, 3)
    assert find_corners(found, 2.5) == [(575, 300), (100, 50), (300, 200)]
    assert [region.uncertainty for region in found] == [
        pytest.approx(1 - abs(2 * value / 255 - 1), abs=1e-3) for value in (128, 100, 30)
    ]
    assert {(region.width_l0, region.height_l0) for region in found} == {(SIDE * 2.5, SIDE * 2.5)}


def test_squares_do_not_overlap_and_stay_on_the_slide(lay_map: LayMap) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (333, 417)).astype(np.uint8)
    found = suggest_regions(lay_map(noise), UM, 1.0, 100)
    assert 4 <= len(found) <= 12
    seen = np.zeros(noise.shape, int)
    for region in found:
        left, top = round(region.left_l0), round(region.top_l0)
        right, bottom = left + round(region.width_l0), top + round(region.height_l0)
        assert right <= noise.shape[1]
        assert bottom <= noise.shape[0]
        seen[top:bottom, left:right] += 1
    assert seen.max() == 1


@pytest.mark.parametrize("value", [0, 255])
def test_where_all_is_sure_nothing_is_suggested(value: int, lay_map: LayMap) -> None:
    assert suggest_regions(lay_map(np.full((300, 300), value, np.uint8)), UM, 1.0, 5) == ()


def test_a_map_smaller_than_a_square_is_one_region(lay_map: LayMap) -> None:
    (region,) = suggest_regions(lay_map(np.full((40, 60), 128, np.uint8)), UM, 1.0, 5)
    assert (region.left_l0, region.top_l0, region.width_l0, region.height_l0) == (0, 0, 60, 40)


def test_none_wanted_is_none(doubt: NDArray[np.uint8], lay_map: LayMap) -> None:
    assert suggest_regions(lay_map(doubt), UM, 1.0, 0) == ()
