"""Cores and weights of stroma, against distances by hand."""

from __future__ import annotations

import numpy as np
import pytest

from glandseg.training.data.borders import find_cores, number_glands, weigh_stroma
from glandseg.training.data.mask_rule import Glands


def draw_pair(gap: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Draw glands 3 and 7, each 20 px wide and as high as the image, some px apart."""
    labels = np.zeros((30, 60 + gap), np.int32)
    labels[:, 10:30] = 3
    labels[:, 30 + gap : 50 + gap] = 7
    return labels


@pytest.mark.parametrize("gap", [0, 1, 5])
def test_a_core_is_farther_from_each_border_than_the_distance(gap: int) -> None:
    core = find_cores(draw_pair(gap), 4.0)
    expected = np.zeros(60 + gap, np.uint8)
    expected[14:26] = expected[34 + gap : 46 + gap] = 255
    assert core.dtype == np.uint8 and (core == expected).all()


def test_the_edge_of_an_image_is_no_border() -> None:
    assert (find_cores(np.full((9, 9), 4, np.int32), 50.0) == 255).all()
    assert not find_cores(np.zeros((9, 9), np.int32), 1.0).any()
    corner = np.zeros((40, 40), np.int32)
    corner[:20, :20] = 1
    core = find_cores(corner, 5.0)
    assert core[0, 0] == core[14, 14] == 255 and core[15, 0] == core[0, 15] == 0


def test_a_thin_gland_has_no_core() -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[8:12] = 1
    assert not find_cores(labels, 2.0).any()
    assert find_cores(labels, 1.0).any()


def test_a_disk_is_eroded_to_a_smaller_one() -> None:
    y, x = np.mgrid[-50:51, -50:51]
    radius = np.hypot(x, y)
    core = find_cores((radius <= 40).astype(np.int32), 10.0) == 255
    assert core[radius < 29].all() and not core[radius > 31].any()


def test_glands_are_numbered_by_ids_else_by_components() -> None:
    ids = draw_pair(0)
    np.testing.assert_array_equal(number_glands(Glands(gland=ids > 0, ids=ids)), ids)
    pair = draw_pair(4)
    for glands in (Glands(gland=pair > 0), Glands(gland=pair > 0, ids=(pair > 0).astype(np.int32))):
        found = number_glands(glands)
        assert found.dtype == np.int32 and set(np.unique(found)) == {0, 1, 2}
        np.testing.assert_array_equal(found > 0, pair > 0)


def test_stroma_weighs_by_the_distance_of_both_glands() -> None:
    weight = weigh_stroma(draw_pair(6), 5.0)
    # A px between glands 6 px apart is 1 to 6 px from one, and 7 less that from the other.
    np.testing.assert_array_equal(weight[15, 30:36], round(255 * np.exp(-49 / 50)))
    assert not weight[draw_pair(6) > 0].any()
    outside = weight[15, :10].astype(int)  # 1 px from the first gland is 27 from the second
    assert not outside.any()


def test_a_gland_alone_and_glands_far_apart_weigh_nothing() -> None:
    pair = draw_pair(40)
    assert not weigh_stroma(pair, 5.0).any()
    assert not weigh_stroma(np.where(pair == 3, pair, 0), 5.0).any()
    assert not weigh_stroma(np.zeros((8, 8), np.int32), 5.0).any()
