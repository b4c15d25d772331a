"""Glass under other lamps, and slides that show none."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.tissue.background import find_background_color
from glandseg.runtime.tissue.illumination import INVERTED, NO_BACKGROUND
from glandseg.runtime.tissue.thumbnail import Thumbnail, build_thumbnail
from glandseg.runtime.tissue.tissue_mask import find_fill, mask_tissue
from glandseg.synthetic import draw_slide

Pixels = NDArray[np.uint8]
WHITE = (243.0, 241.0, 242.0)
HALOGEN = (245.0, 233.0, 191.0)
UM = 8.0


def white_point(share: float | tuple[float, ...], seed: int = 0, background_share: float = 0.6) -> Pixels:
    """Draw a slide of eosin and haematoxylin seen by a lamp; the left is tissue, the right background."""
    rng = np.random.default_rng(seed)
    passed = np.ones((200, 300, 3))
    left = round(300 * (1 - background_share))
    stains = np.array([[0.12, 0.45, 0.25], [0.5, 0.6, 0.25]])  # density of eosin and of haematoxylin
    amount = cv2.resize(rng.uniform(0.1, 1, (50, 75, 2)), (300, 200), interpolation=cv2.INTER_CUBIC)
    passed[:, :left] = 10 ** -(np.clip(amount, 0.05, 1) @ stains)[:, :left]
    image = passed * np.array(share) + rng.normal(0, 1.2, passed.shape)
    return np.asarray(np.clip(np.rint(image), 0, 255), np.uint8)


def thumbnail(image: Pixels) -> Thumbnail:
    return build_thumbnail(image.copy(), np.zeros(image.shape[:2], np.bool_), UM)


def check_color(image: Pixels, expected: tuple[float, ...]) -> None:
    found = find(image)
    assert found is not None
    np.testing.assert_allclose(found, np.array(expected), atol=1.5)


def find(image: Pixels) -> NDArray[np.float32] | None:
    return find_background_color(image, find_fill(image))


@pytest.mark.parametrize("dim", [1.0, 0.7, 0.5])
@pytest.mark.parametrize("lamp", [WHITE, HALOGEN, (200.0, 220.0, 244.0), (252.0, 220.0, 168.0)])
@pytest.mark.parametrize("background_share", [0.08, 0.6])
def test_background_is_found_under_any_lamp(
    lamp: tuple[float, ...], dim: float, background_share: float
) -> None:
    shown = tuple(level * dim for level in lamp)
    image = white_point(shown, background_share=background_share)
    check_color(image, shown)
    tissue = mask_tissue(image, UM)
    left = round(300 * (1 - background_share))
    assert tissue[:, :left].all()
    assert not tissue[:, left + 12 :].any()
    assert thumbnail(image).warnings == ()


@pytest.mark.parametrize("density", [0.05, 0.03])
def test_pale_tissue_is_kept_under_halogen(density: float) -> None:
    image = white_point(HALOGEN, background_share=1.0)
    image[60:140, 100:200] = np.rint(np.array(HALOGEN) * 10**-density)
    tissue = mask_tissue(image, UM)
    assert tissue[60:140, 100:200].all()
    assert not tissue[:40].any()


@pytest.mark.parametrize("lamp", [WHITE, HALOGEN])
def test_a_slide_full_of_tissue_has_no_background_and_says_so(lamp: tuple[float, ...]) -> None:
    image = white_point(lamp, background_share=0.0)
    assert find(image) is None
    found = thumbnail(image)
    assert found.tissue.mask.all()
    assert found.warnings == (NO_BACKGROUND,)


def test_smooth_pale_eosin_is_no_background() -> None:
    image = white_point(HALOGEN, background_share=0.0)
    image[:, 200:] = (235, 205, 222)
    assert find(image) is None


def test_the_scanners_fill_is_not_brighter_background() -> None:
    image = white_point(HALOGEN, background_share=0.3)
    image[:30, :] = 255
    check_color(image, HALOGEN)


def test_a_crop_of_tissue_is_not_warned_about() -> None:
    assert thumbnail(white_point(WHITE, background_share=0.0)[:80, :80]).warnings == ()


def test_white_fill_stands_for_background() -> None:
    image = white_point(WHITE, background_share=0.4)
    image[:, 180:] = 255
    assert thumbnail(image).warnings == ()


@pytest.mark.parametrize("seed", [0, 1])
def test_inverted_tissue_is_warned_about(seed: int) -> None:
    assert thumbnail(255 - white_point(WHITE, seed, background_share=0.1)).warnings[0] == INVERTED
    drawn = cv2.resize(draw_slide(400, 400, 4.0, seed)[0], (200, 200), interpolation=cv2.INTER_AREA)
    assert INVERTED not in thumbnail(np.asarray(drawn, np.uint8)).warnings


def test_black_ink_is_told_from_tissue_in_dim_light() -> None:
    image = white_point(tuple(0.5 * level for level in WHITE))
    image[60:140, 20:60] = (38, 20, 45)  # dark tissue
    image[60:140, 220:226] = (8, 8, 10)
    tissue = mask_tissue(image, UM)
    assert tissue[60:140, 20:60].all()
    assert not tissue[80:120, 215:230].any()
