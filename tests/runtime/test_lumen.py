"""Which pixels of glands count as unstained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.lumen import BAND_PX, estimate_light, map_unstained
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.slide import open_slide

Pixels = NDArray[np.uint8]
Lay = Callable[[Pixels], SlidePlane]
GLASS = np.array([240, 238, 242], np.float32)


@pytest.fixture
def lay(tmp_path: Path) -> Lay:
    """Give a function that lays a plane over a picture, px by px."""

    def lay(picture: Pixels) -> SlidePlane:
        cv2.imwrite(str(tmp_path / "picture.png"), picture[..., ::-1])
        return SlidePlane(open_slide(tmp_path / "picture.png", 0.5), 0.5)

    return lay


def test_the_light_is_that_of_glass() -> None:
    assert estimate_light(np.zeros((4, 4, 3), np.uint8), GLASS) is GLASS


def test_without_glass_the_brightest_pixels_stand_in() -> None:
    thumbnail = np.full((100, 100, 3), 120, np.uint8)
    thumbnail[0] = (230, 220, 225)
    assert estimate_light(thumbnail, None).tolist() == [230, 220, 225]


def test_stained_pixels_do_not_stand_in_for_glass() -> None:
    thumbnail = np.full((100, 100, 3), (200, 120, 160), np.uint8)
    light = estimate_light(thumbnail, None)
    assert not (thumbnail >= 0.85 * light).all(axis=2).any()


def test_unstained_pixels_are_bright_in_every_channel(lay: Lay, tmp_path: Path) -> None:
    picture = np.full((90, 80, 3), (210, 130, 180), np.uint8)
    picture[10:30, 20:50] = 236
    picture[40:50, 20:50] = (236, 190, 236)
    probability = np.full((90, 80), 255, np.uint8)
    unstained = map_unstained(lay(picture), probability, GLASS, tmp_path / "m.npy", threshold=0.5)
    expected = np.zeros((90, 80), np.uint8)
    expected[10:30, 20:50] = 1
    assert np.array_equal(unstained, expected)


@pytest.mark.parametrize(("threshold", "found"), [(0.3, True), (0.5, False)])
def test_a_low_threshold_reads_faint_glands_too(
    threshold: float, found: bool, lay: Lay, tmp_path: Path
) -> None:
    plane = lay(np.full((30, 40, 3), 240, np.uint8))
    probability = np.full((30, 40), 100, np.uint8)
    unstained = map_unstained(plane, probability, GLASS, tmp_path / "m.npy", threshold=threshold)
    assert unstained.all() == unstained.any() == found


def test_only_blocks_with_glands_are_read(lay: Lay, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plane = lay(np.full((3 * BAND_PX + 5, 60, 3), 240, np.uint8))
    probability = np.zeros((plane.height_px, plane.width_px), np.uint8)
    probability[BAND_PX + 3, 7] = 200
    read, rows = plane.read, []

    def watch(x_px: int, y_px: int, width_px: int, height_px: int) -> Pixels:
        rows.append((y_px, height_px))
        return read(x_px, y_px, width_px, height_px)

    monkeypatch.setattr(plane, "read", watch)
    unstained = map_unstained(plane, probability, GLASS, tmp_path / "m.npy", threshold=0.5)
    assert rows == [(BAND_PX, BAND_PX)]
    assert np.flatnonzero(unstained.any(axis=1)).tolist() == list(range(BAND_PX, 2 * BAND_PX))
