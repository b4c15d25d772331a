"""The labels hold the table's numbers, and counts of what hangs together agree with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.glands.store import Glands
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.label_tiff import STRIP_ROWS, write_labels

Labels = NDArray[np.uint32]
WriteLabels = Callable[..., Labels]


@pytest.fixture
def write_px(
    tmp_path: Path,
    trace: Callable[..., Glands],
    make_found: Callable[..., SlideGlands],
    write: Callable[..., list[str]],
) -> WriteLabels:
    """Return a function that traces an array's glands, writes their labels and reads these back."""

    def run(probability: NDArray[np.uint8], **options: Any) -> Labels:
        found = make_found(trace(probability), extent_px=probability.shape[::-1], **options)
        assert write(write_labels, tmp_path / "a.glands.labels.tif", found) == []
        return np.asarray(tifffile.imread(tmp_path / "a.glands.labels.tif"), np.uint32)

    return run


def paint(shape: tuple[int, int], *boxes: tuple[int, int, int, int]) -> NDArray[np.uint8]:
    image = np.zeros(shape, np.uint8)
    for top, left, bottom, right in boxes:
        image[top:bottom, left:right] = 255
    return image


def count(labels: Labels, connectivity: int) -> int:
    return int(cv2.connectedComponents((labels > 0).astype(np.uint8), connectivity=connectivity)[0]) - 1


def test_each_px_has_the_number_of_its_gland(write_px: WriteLabels) -> None:
    px = paint((150, 90), (60, 2, 70, 20), (5, 40, 15, 80), (130, 2, 150, 90))
    labels = write_px(px)
    assert labels.dtype == np.uint32
    assert np.array_equal(labels > 0, px > 0)
    assert [int(labels[y, x]) for y, x in ((10, 50), (65, 5), (140, 5))] == [1, 2, 3]


def test_glands_that_touch_by_a_corner_are_two_for_every_reader(write_px: WriteLabels) -> None:
    px = paint((100, 90), (5, 5, STRIP_ROWS, 40), (STRIP_ROWS, 40, 90, 80))  # across the edge of a strip
    labels = write_px(px)
    assert count(labels, 4) == count(labels, 8) == len(np.unique(labels)) - 1 == 2
    assert np.argwhere((labels == 0) & (px > 0)).tolist() == [[STRIP_ROWS - 1, 39]]


def test_corners_on_any_side_are_cut(write_px: WriteLabels) -> None:
    px = paint((60, 60), (5, 5, 20, 20), (20, 20, 40, 40), (5, 40, 20, 55), (40, 5, 55, 20), (40, 40, 55, 55))
    labels = write_px(px)
    assert count(labels, 8) == len(np.unique(labels)) - 1 == 5


def test_no_gland_gives_zeros(write_px: WriteLabels) -> None:
    labels = write_px(np.zeros((70, 33), np.uint8))
    assert labels.shape == (70, 33)
    assert not labels.any()


def test_the_file_is_of_strips_with_its_pixel_size(write_px: WriteLabels, tmp_path: Path) -> None:
    write_px(paint((130, 90), (5, 5, 20, 20)), um_per_px=0.5)
    with tifffile.TiffFile(tmp_path / "a.glands.labels.tif") as tiff:
        (page,) = tiff.pages
        assert isinstance(page, tifffile.TiffPage)
        assert (page.is_tiled, page.rowsperstrip, len(page.dataoffsets)) == (False, STRIP_ROWS, 3)
        assert (page.get_resolution("CENTIMETER"), page.compression) == ((20_000, 20_000), 8)
        assert page.software == ""
        assert not page.description


def test_the_labels_do_not_overhang_the_slide(write_px: WriteLabels) -> None:
    px = np.full((50, 70), 255, np.uint8)
    assert write_px(px, plane=None).shape == (50, 70)
