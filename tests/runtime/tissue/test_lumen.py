"""Which pixels count as unstained."""

from __future__ import annotations

import numpy as np
import pytest

from glandseg.runtime.tissue.lumen import UNSTAINED_SHARE, estimate_white_point, mark_unstained

BACKGROUND = np.array([240, 238, 242], np.float32)


def test_the_light_is_that_of_background() -> None:
    assert estimate_white_point(np.zeros((4, 4, 3), np.uint8), BACKGROUND) is BACKGROUND


def test_without_background_the_brightest_pixels_stand_in() -> None:
    thumbnail = np.full((100, 100, 3), 120, np.uint8)
    thumbnail[0] = (230, 220, 225)
    assert estimate_white_point(thumbnail, None).tolist() == [230, 220, 225]


def test_stained_pixels_do_not_stand_in_for_background() -> None:
    thumbnail = np.full((100, 100, 3), (200, 120, 160), np.uint8)
    assert not mark_unstained(thumbnail, estimate_white_point(thumbnail, None)).any()


def test_unstained_pixels_are_bright_in_every_channel() -> None:
    image = np.full((90, 80, 3), (210, 130, 180), np.uint8)
    image[10:30, 20:50] = 236
    image[40:50, 20:50] = (236, 190, 236)
    expected = np.zeros((90, 80), np.uint8)
    expected[10:30, 20:50] = 1
    assert np.array_equal(mark_unstained(image, BACKGROUND), expected)


@pytest.mark.parametrize("rgb", [(240, 238, 242), (180, 200, 255), (251.5, 0, 240)])
def test_the_border_is_where_the_share_is(rgb: tuple[float, ...]) -> None:
    white_point = np.array(rgb, np.float32)
    levels = np.repeat(np.arange(256, dtype=np.uint8), 3).reshape(1, 256, 3)
    for channel in range(3):
        image = np.full_like(levels, 255)
        image[..., channel] = levels[..., channel]
        expected = (image >= UNSTAINED_SHARE * white_point).all(axis=2)
        assert np.array_equal(mark_unstained(image, white_point), expected)
        assert expected.any()
