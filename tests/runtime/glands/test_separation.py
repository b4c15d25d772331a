"""Touching glands become two, and nothing but positions decides where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.separation import Separation
from glandseg.runtime.glands.separation import find_gaps, find_reach_px, grow_seeds, separate

Grey = NDArray[np.uint8]
CUT = 128
RULE = Separation(channel="gland", threshold=0.8, reach_um=5.0)


def paint(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Grey:
    image = np.zeros(shape, np.uint8)
    for top, left, bottom, right, value in boxes:
        image[top:bottom, left:right] = value
    return image


def make_clouds(seed: int, shape: tuple[int, int] = (90, 110)) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.float32)
    return np.clip(blurred * 8 - 890, 0, 255).astype(np.uint8)


def label(mask: NDArray[np.bool_]) -> tuple[int, NDArray[np.int32]]:
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=4)
    return count - 1, np.asarray(labels, np.int32)


def grow_slowly(mask: NDArray[np.bool_], seeds: NDArray[np.int32], reach_px: int) -> NDArray[np.int32]:
    """The rule, px by px: each takes the seed of its first neighbour that had one before the step."""
    grown = np.array(seeds)
    for _ in range(reach_px):
        before = grown.copy()
        for y, x in np.argwhere(mask & (before == 0)):
            for i, j in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
                inside = 0 <= i < mask.shape[0] and 0 <= j < mask.shape[1]
                if inside and before[i, j] and not grown[y, x]:
                    grown[y, x] = before[i, j]
    return grown


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("reach_px", [1, 4, 50])
def test_growth_is_the_rule_read_px_by_px(seed: int, reach_px: int) -> None:
    clouds = make_clouds(seed)
    _, seeds = label(clouds >= 200)
    assert seeds.max() > 5
    mask = clouds >= CUT
    assert np.array_equal(grow_seeds(mask, seeds, reach_px), grow_slowly(mask, seeds, reach_px))


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("reach_px", [1, 3, 20])
def test_components_of_the_result_never_hold_two_glands(seed: int, reach_px: int) -> None:
    clouds = make_clouds(seed)
    mask = clouds >= CUT
    _, seeds = label(clouds >= 200)
    objects = grow_seeds(mask, seeds, reach_px)
    gaps = find_gaps(mask, seeds, reach_px)
    assert gaps.any()
    assert not (gaps & ~mask).any()
    count, labels = label(mask & ~gaps)
    assert all(len(np.unique(objects[labels == number])) == 1 for number in range(1, count + 1))


@pytest.mark.parametrize("seed", range(3))
def test_numbers_of_seeds_do_not_matter(seed: int) -> None:
    clouds = make_clouds(seed)
    count, seeds = label(clouds >= 200)
    other = np.append(0, np.random.default_rng(seed).permutation(count) + 1).astype(np.int32)
    mask = clouds >= CUT
    assert np.array_equal(find_gaps(mask, seeds, 8), find_gaps(mask, other[seeds], 8))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("rows", [1, 7, 40])
def test_a_px_depends_on_no_row_beyond_the_reach(seed: int, rows: int) -> None:
    clouds, reach_px = make_clouds(seed), 6
    mask = clouds >= CUT
    _, seeds = label(clouds >= 200)
    whole = find_gaps(mask, seeds, reach_px)
    for top in range(0, len(mask), rows):
        first, last = max(top - reach_px, 0), top + rows + reach_px + 1
        part = find_gaps(mask[first:last], seeds[first:last], reach_px)
        assert np.array_equal(part[top - first :][:rows], whole[top : top + rows])


def test_two_touching_glands_are_two_with_a_gap_of_one_px() -> None:
    pair = paint((20, 41), (2, 2, 18, 39, 150), (5, 5, 15, 15, 255), (5, 26, 15, 36, 255))
    found = separate(pair, pair, CUT, Separation(channel="gland", threshold=0.8, reach_um=9.0), 1.0)
    assert label(found >= CUT)[0] == 2
    assert np.array_equal(np.flatnonzero((found != pair).any(axis=0)), [20])
    assert (found[2:18, 20] == 0).all()
    assert np.array_equal(found[:, np.arange(41) != 20], pair[:, np.arange(41) != 20])


def test_growth_ends_at_the_reach_and_the_rest_is_an_object_of_its_own() -> None:
    bar = paint((5, 60), (1, 1, 4, 59, 150), (1, 1, 4, 11, 255), (1, 49, 4, 59, 255))
    found = separate(bar, bar, CUT, RULE, um_per_px=0.5)  # 10 px
    count, labels = label(found >= CUT)
    assert count == 3
    assert [int((labels[2] == number).sum()) for number in (1, 2, 3)] == [19, 17, 20]


def test_growth_goes_round_the_stroma_not_through_it() -> None:
    wall = paint((30, 30), (0, 0, 30, 30, 150), (0, 0, 30, 3, 255), (0, 10, 30, 12, 0))
    found = separate(wall, wall, CUT, Separation(channel="gland", threshold=0.8, reach_um=20.0), 1.0)
    count, labels = label(found >= CUT)
    assert count == 2
    assert labels[15, 9] != labels[15, 12]


@pytest.mark.parametrize("seedless", [150, 203])
def test_a_part_without_seed_stays_as_it_is(seedless: int) -> None:
    part = paint((20, 40), (2, 2, 18, 18, seedless), (4, 22, 16, 38, 255))
    assert np.array_equal(separate(part, part, CUT, RULE, 1.0), part)


SHAPES: dict[str, Callable[[], Grey]] = {
    "ring": lambda: paint((60, 60), (5, 5, 55, 55, 150), (8, 8, 52, 52, 255), (20, 20, 40, 40, 0)),
    "u": lambda: paint((60, 60), (5, 5, 55, 55, 150), (8, 8, 52, 52, 255), (0, 20, 40, 40, 0)),
    "comb": lambda: paint((60, 60), (40, 2, 58, 58, 255), *((2, x, 50, x + 5, 255) for x in range(2, 58, 8))),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_a_gland_of_one_seed_stays_whole(shape: str) -> None:
    gland = SHAPES[shape]()
    assert np.array_equal(separate(gland, gland, CUT, RULE, 0.8), gland)  # 6 px


def test_seeds_are_of_the_core_map_inside_the_mask_alone() -> None:
    gland = paint((20, 42), (2, 2, 18, 40, 255))
    core = paint((20, 42), (0, 6, 20, 16, 255), (0, 26, 20, 36, 210), (0, 41, 20, 42, 255))
    rule = Separation(channel="core", threshold=0.8, reach_um=5.0)
    found = separate(gland, core, CUT, rule, 1.0)
    assert label(found >= CUT)[0] == 2
    assert not ((found != gland) & (gland == 0)).any()
    strict = Separation(channel="core", threshold=0.9, reach_um=50.0)
    assert np.array_equal(separate(gland, core, CUT, strict, 1.0), gland)


def test_an_image_without_gland_or_seed_stays_as_it_is() -> None:
    for empty in (np.zeros((4, 5), np.uint8), np.full((1, 1), 150, np.uint8)):
        assert np.array_equal(separate(empty, empty, CUT, RULE, 1.0), empty)


@pytest.mark.parametrize(("um_per_px", "reach_px"), [(1.3, 4), (0.5, 10), (40.0, 1)])
def test_reach_is_in_micrometres(um_per_px: Any, reach_px: int) -> None:
    assert find_reach_px(RULE, um_per_px) == reach_px
