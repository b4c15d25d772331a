"""Whether one image is another one shrunk."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.slides.formats.tiff_likeness import Likeness, Sample, compare
from glandseg.synthetic import draw_slide

Pixels = NDArray[np.uint8]


def show(pixels: Pixels, unreadable: bool = False) -> Sample:
    def read(x: int, y: int, width: int, height: int) -> Pixels:
        if unreadable and y + height > pixels.shape[0] // 2:
            raise ValueError("damaged")
        return pixels[y : y + height, x : x + width]

    return Sample(read, pixels.shape[1], pixels.shape[0])


def shrink(pixels: Pixels, factor: float, how: int = cv2.INTER_AREA) -> Pixels:
    size = (round(pixels.shape[1] / factor), round(pixels.shape[0] / factor))
    return np.asarray(cv2.resize(pixels, size, interpolation=how), np.uint8)


@pytest.fixture(scope="module")
def tissue() -> Pixels:
    return draw_slide(1000, 1000, 0.5, 7)[0]


@pytest.mark.parametrize("how", [cv2.INTER_AREA, cv2.INTER_NEAREST, cv2.INTER_LINEAR, cv2.INTER_CUBIC])
@pytest.mark.parametrize("factor", [2, 2.73, 4, 16, 61])
def test_a_copy_is_known_however_it_was_shrunk(tissue: Pixels, factor: float, how: int) -> None:
    assert compare(show(tissue), show(shrink(tissue, factor, how))).is_proven


def test_a_copy_that_lost_much_to_its_codec_is_known(tissue: Pixels) -> None:
    small = shrink(tissue, 4)
    coded = cv2.imdecode(cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)
    assert compare(show(tissue), show(np.asarray(coded, np.uint8))).is_proven


def test_little_tissue_on_much_glass_is_found(tissue: Pixels) -> None:
    slide = np.full((3000, 3000, 3), 245, np.uint8)
    slide[1510:1570, 1620:1700] = tissue[470:530, 460:540]
    assert compare(show(slide), show(shrink(slide, 4))).is_proven


def test_other_tissue_and_a_label_are_not_copies(tissue: Pixels) -> None:
    label = np.full((128, 128, 3), 255, np.uint8)
    cv2.putText(label, "NAME", (8, 70), cv2.FONT_HERSHEY_SIMPLEX, 1.5, (0, 0, 0), 3)
    others = [draw_slide(500, 500, 1.0, 11)[0], label, np.roll(shrink(tissue, 2), 40, axis=1)]
    others += [np.full((100, 100, 3), 245, np.uint8), shrink(tissue[::-1], 2)]
    for other in others:
        assert compare(show(tissue), show(np.ascontiguousarray(other))).is_refuted


def test_the_same_layout_of_other_tissue_is_not_a_copy(tissue: Pixels) -> None:
    glass = np.full((1600, 1600, 3), 245, np.uint8)
    first, second = glass.copy(), glass.copy()
    first[300:1300, 300:1300] = tissue
    second[300:1300, 300:1300] = draw_slide(1000, 1000, 0.5, 11)[0]
    assert compare(show(first), show(shrink(second, 2))).is_refuted


def test_empty_glass_proves_nothing() -> None:
    glass = np.full((600, 600, 3), 245, np.uint8)
    likeness = compare(show(glass), show(shrink(glass, 2)))
    assert likeness == Likeness(None)
    assert not likeness.is_proven
    assert not likeness.is_refuted


def test_damage_leaves_the_other_places(tissue: Pixels) -> None:
    assert compare(show(tissue), show(shrink(tissue, 2), unreadable=True)).is_proven
    assert compare(show(tissue[:2]), show(shrink(tissue, 2)[:1], unreadable=True)) == Likeness(None)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1), (3, 2)])
def test_a_few_px_are_compared_without_failing(size: tuple[int, int]) -> None:
    small = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    full = np.repeat(np.repeat(small, 4, axis=0), 4, axis=1)
    assert not compare(show(full), show(small)).is_refuted
