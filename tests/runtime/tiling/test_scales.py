"""Scales of a slide, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.tiling.blend import GetWindow
from glandseg.runtime.tiling.scales import ScalePlane, average_scales, rescale
from glandseg.slides.open import open_slide
from glandseg.slides.scaled_plane import RescaledPlane
from glandseg.slides.slide_plane import SlidePlane

Pixels = NDArray[np.uint8]
Lay = Callable[[Pixels, tuple[float, ...]], list[ScalePlane]]


def want_all(*rectangle: float) -> bool:
    return True


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Give a function that lays planes over an image of 1 um/px."""

    def lay(image: Pixels, scales: tuple[float, ...]) -> list[ScalePlane]:
        cv2.imwrite(str(tmp_path / "image.png"), image[..., ::-1])
        base = SlidePlane(open_slide(tmp_path / "image.png", 1.0), 1.0)
        return [
            ScalePlane(scale=scale, plane=RescaledPlane(base, scale), wanted=want_all) for scale in scales
        ]

    return lay


def draw_hills(height: int, width: int) -> Pixels:
    y, x = np.mgrid[0:height, 0:width] / 50.0
    return np.repeat((127.5 + 100 * np.sin(x + 1) * np.cos(y))[..., None], 3, axis=2).astype(np.uint8)


def see_red(planes: list[ScalePlane]) -> list[GetWindow]:
    """Answer each window with its red."""
    return [lambda row, column, item=item: item.read(row, column)[..., 0] for item in planes]  # type: ignore[misc]


def test_scale_one_alone_comes_through_unchanged(lay: Lay) -> None:
    image = draw_hills(333, 520)
    planes = lay(image, (1.0,))
    assert np.array_equal(average_scales(planes, see_red(planes), 0, 0, 333, 520), image[..., 0])


@pytest.mark.parametrize("scales", [(0.5,), (0.75, 1.0, 1.5), (3.0,)])
def test_every_scale_is_brought_back_to_its_place(scales: tuple[float, ...], lay: Lay) -> None:
    image = draw_hills(333, 520)
    planes = lay(image, scales)
    mean = average_scales(planes, see_red(planes), 0, 0, 333, 520)
    difference = np.abs(mean.astype(np.int16) - image[..., 0])
    assert difference[4:-4, 4:-4].max() <= 3
    assert difference.max() <= 8


def test_it_does_not_depend_on_how_it_is_cut(lay: Lay) -> None:
    planes = lay(draw_hills(333, 520), (0.75, 1.0, 1.25))
    gets = see_red(planes)
    whole = average_scales(planes, gets, 0, 0, 333, 520)
    rng = np.random.default_rng(0)
    for _ in range(12):
        top, left = int(rng.integers(0, 333)), int(rng.integers(0, 520))
        bottom, right = int(rng.integers(top + 1, 334)), int(rng.integers(left + 1, 521))
        assert np.array_equal(
            average_scales(planes, gets, top, left, bottom, right), whole[top:bottom, left:right]
        )


def test_a_scale_counts_where_its_windows_were_run(lay: Lay) -> None:
    planes = lay(np.zeros((256, 1024, 3), np.uint8), (1.0, 2.0))
    ones = np.full((320, 320), 100, np.uint8)
    twos = np.full((320, 320), 200, np.uint8)
    gets: list[GetWindow] = [lambda i, j: ones, lambda i, j: twos if j < 4 else None]
    mean = average_scales(planes, gets, 0, 0, 256, 1024)
    assert (mean[:, :480] == 150).all()
    assert (mean[:, 544:] == 100).all()
    assert (np.diff(mean[100, 480:544].astype(int)) <= 0).all()


def test_no_window_at_all_gives_zero(lay: Lay) -> None:
    planes = lay(np.zeros((100, 100, 3), np.uint8), (1.0, 2.0))
    assert not average_scales(planes, [lambda i, j: None] * 2, 0, 0, 100, 100).any()


@pytest.mark.parametrize("scale", [0.4, 1.0, 2.0])
def test_rescaling_a_map_agrees_with_opencv(scale: float) -> None:
    values = draw_hills(round(101 * scale), round(67 * scale))[..., 0]
    found = rescale(values, scale, (101, 67))
    assert found.shape == (101, 67)
    if scale == 1:
        assert np.array_equal(found, values)
    if scale == 2:
        assert np.abs(found - cv2.resize(values, (67, 101), interpolation=cv2.INTER_LINEAR)).max() <= 1
