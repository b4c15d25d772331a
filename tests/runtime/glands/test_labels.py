"""Glands of a map, cut, cleaned and numbered, drawn at the image's px."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.glands.labels import label_glands
from glandseg.runtime.settings import InferSettings

SETTINGS = InferSettings(min_gland_um2=50.0, min_lumen_um2=20.0)


def draw(*boxes: tuple[int, int, int, int, int], shape: tuple[int, int] = (60, 80)) -> NDArray[np.uint8]:
    """Draw boxes of top, left, bottom, right and value, later ones on top."""
    canvas = np.zeros(shape, np.uint8)
    for top, left, bottom, right, value in boxes:
        canvas[top:bottom, left:right] = value
    return canvas


def label(
    probability: NDArray[np.uint8], shape: tuple[int, int] | None = None, um_per_px: float = 1.0
) -> NDArray[np.int32]:
    shape = shape or (probability.shape[0], probability.shape[1])
    return label_glands(
        probability,
        SETTINGS,
        um_per_px=um_per_px,
        image_px_per_px=shape[0] / probability.shape[0],
        shape=shape,
    )


def test_glands_are_numbered_in_reading_order_and_keep_their_px() -> None:
    probability = draw((30, 5, 45, 25, 255), (5, 50, 20, 70, 255), (5, 10, 20, 20, 128))
    expected = draw((30, 5, 45, 25, 3), (5, 50, 20, 70, 2), (5, 10, 20, 20, 1))
    np.testing.assert_array_equal(label(probability), expected)


def test_what_lies_below_the_threshold_is_no_gland() -> None:
    assert not label(draw((5, 5, 40, 40, 127))).any()


def test_glands_and_lumina_that_are_too_small_go() -> None:
    probability = draw((5, 5, 35, 35, 255), (10, 10, 14, 14, 0), (20, 20, 26, 26, 0), (40, 50, 46, 56, 255))
    expected = draw((5, 5, 35, 35, 1), (20, 20, 26, 26, 0))  # 16 um2 filled, 36 um2 kept; 36 um2 dropped
    np.testing.assert_array_equal(label(probability) > 0, expected > 0)
    assert label(probability, um_per_px=2.0).max() == 2  # the second gland is four times as large then


def test_a_gland_in_a_filled_hole_is_no_gland_of_its_own() -> None:
    settings = InferSettings(min_gland_um2=50.0, min_lumen_um2=1000.0)
    probability = draw((5, 5, 45, 45, 255), (10, 10, 40, 40, 0), (18, 18, 32, 32, 255))
    found = label_glands(probability, settings, um_per_px=1.0, image_px_per_px=1.0, shape=(60, 80))
    np.testing.assert_array_equal(found, draw((5, 5, 45, 45, 1)))


def test_px_that_touch_by_a_corner_are_two_glands() -> None:
    found = label(draw((5, 5, 20, 20, 255), (20, 20, 40, 40, 255)))
    assert sorted(np.unique(found)) == [0, 1, 2] and found[19, 19] != found[20, 20]


@pytest.mark.parametrize("factor", [2, 3])
def test_outlines_keep_their_place_at_another_size(factor: int) -> None:
    found = label(draw((0, 0, 20, 30, 255), (30, 40, 60, 80, 255)), (60 * factor, 80 * factor))
    expected = draw((0, 0, 20, 30, 1), (30, 40, 60, 80, 2)).repeat(factor, 0).repeat(factor, 1)
    different = found != expected
    assert different.sum() <= 4 * factor**2  # contours cut the corners of px, and nothing else


def test_a_map_whose_last_px_lie_partly_outside_the_image() -> None:
    found = label_glands(
        np.full((10, 10), 255, np.uint8), SETTINGS, um_per_px=1.3, image_px_per_px=2.08, shape=(20, 19)
    )
    assert (found == 1).sum() >= found.size - 4  # but for the corners


def test_no_gland_at_all() -> None:
    np.testing.assert_array_equal(label(draw()), np.zeros((60, 80), np.int32))
