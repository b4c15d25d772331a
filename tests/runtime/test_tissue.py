from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.reader import Slide, build_levels
from glandseg.runtime.resolution import Resolution
from glandseg.runtime.slide import open_slide
from glandseg.runtime.tissue import TissueMask, find_tissue, mask_tissue

Pixels = NDArray[np.uint8]
UM = 8.0
GLASS = (242, 240, 243)
EOSIN = (214, 140, 180)


def draw_glass(width: int = 300, height: int = 200) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 1.5, (height, width, 3))
    return np.clip(np.rint(np.array(GLASS) + noise), 0, 255).astype(np.uint8)


def stain(density: float) -> tuple[int, ...]:
    return tuple(round(channel * 10**-density) for channel in GLASS)


class ThumbnailSlide(Slide):
    """A slide of 8 um/px; reading px of `broken` columns fails."""

    def __init__(self, image: Pixels, broken_from: int | None = None) -> None:
        self.path = Path("thumbnail")
        self.format = "memory"
        self.image = image
        self.broken_from = broken_from
        self.levels = build_levels([(image.shape[1], image.shape[0])])
        self.resolution = Resolution(UM, "test")

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        if self.broken_from is not None and x + width > self.broken_from:
            raise OSError("bad sector")
        return np.array(self.image[y : y + height, x : x + width], np.uint8)

    def close(self) -> None:
        pass


def test_tissue_is_kept_with_a_margin_and_glass_dropped() -> None:
    image = draw_glass()
    image[60:140, 100:200] = EOSIN
    mask = mask_tissue(image, UM)
    assert mask[56:144, 96:204].all()
    assert not mask[:40].any()
    assert not mask[:, :80].any()


@pytest.mark.parametrize("density", [0.05, 0.03])
def test_pale_tissue_is_kept(density: float) -> None:
    image = draw_glass()
    image[60:140, 100:200] = stain(density)
    assert mask_tissue(image, UM)[60:140, 100:200].all()


def test_pale_tissue_on_most_of_the_slide_is_not_taken_for_glass() -> None:
    image = draw_glass()
    image[20:] = stain(0.05)
    mask = mask_tissue(image, UM)
    assert mask[20:].all()
    assert not mask[:8].any()


def test_strands_in_clear_mucus_are_kept() -> None:
    image = draw_glass()
    image[60:140, 100:200:4] = stain(0.06)
    assert mask_tissue(image, UM)[60:140, 100:200].all()


@pytest.mark.parametrize("colour", [(20, 120, 60), (30, 60, 170), (15, 15, 20)])
def test_pen_is_dropped(colour: tuple[int, int, int]) -> None:
    image = draw_glass()
    image[60:140, 40:120] = EOSIN
    cv2.line(image, (220, 20), (260, 180), colour, 8, cv2.LINE_AA)
    mask = mask_tissue(image, UM)
    assert mask[60:140, 40:120].all()
    assert not mask[:, 200:].any()


def test_specks_are_dropped_and_lumina_kept() -> None:
    image = draw_glass()
    image[30:33, 30:33] = EOSIN
    cv2.circle(image, (150, 100), 60, EOSIN, -1)
    cv2.circle(image, (150, 100), 30, GLASS, -1)
    mask = mask_tissue(image, UM)
    assert not mask[:60, :60].any()
    assert mask[100, 150]


@pytest.mark.parametrize("fill", [0, 255])
def test_scanner_fill_is_dropped_and_does_not_hide_glass(fill: int) -> None:
    image = np.full((200, 600, 3), fill, np.uint8)
    image[:, :200] = draw_glass(200)
    image[60:140, 60:140] = EOSIN
    mask = mask_tissue(image, UM)
    assert mask[60:140, 60:140].all()
    assert not mask[:, 240:].any()
    assert not mask[:30].any()


@pytest.mark.parametrize("level", [230, 255])
def test_empty_slide_is_empty(level: int) -> None:
    mask = find_tissue(ThumbnailSlide(np.full((200, 300, 3), level, np.uint8)))
    assert not mask.mask.any()
    assert mask.area_mm2 == 0


def test_slide_without_glass_is_kept_whole() -> None:
    noise = np.random.default_rng(0).integers(-30, 30, (200, 300, 3))
    image = np.clip(np.array(EOSIN) + noise, 0, 255).astype(np.uint8)
    assert find_tissue(ThumbnailSlide(image)).mask.all()


def test_small_picture_is_kept_whole() -> None:
    assert find_tissue(ThumbnailSlide(draw_glass(60, 60))).mask.all()


def test_unreadable_parts_are_kept() -> None:
    found = find_tissue(ThumbnailSlide(draw_glass(1100, 100), broken_from=1050))
    assert found.mask[:, 1024:].all()
    assert not found.mask[:, :512].any()


def test_covers_counts_in_um_from_the_corner() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[4, 6] = True
    tissue = TissueMask(mask, UM)
    assert tissue.covers(48, 32, 1, 1)
    assert tissue.covers(-100, -100, 1000, 1000)
    assert tissue.covers(47.5, 31.5, 1, 1)
    assert not tissue.covers(0, 0, 48, 32)
    assert not tissue.covers(56, 32, 100, 100)
    assert not tissue.covers(-50, -50, 40, 40)
    assert not tissue.covers(5000, 5000, 10, 10)
    assert tissue.area_mm2 == pytest.approx(64e-6)


def test_everything_covers_everything() -> None:
    tissue = TissueMask.everything(100.0, 50.0)
    assert tissue.mask.shape == (7, 13)
    assert tissue.covers(99, 49, 1, 1)


def test_unknown_resolution_is_refused() -> None:
    slide = ThumbnailSlide(draw_glass())
    slide.resolution = None
    with pytest.raises(BadInputError, match="--mpp"):
        find_tissue(slide)


@pytest.mark.shared
def test_real_slide(shared_data: Path) -> None:
    with open_slide(shared_data / "slides/CMU-1-Small-Region.svs") as slide:
        mask = find_tissue(slide).mask
    assert 0.4 < mask.mean() < 0.7
    assert mask[60:180, 55:90].all()  # the tissue's body
    assert not mask[100:, :15].any()  # glass


@pytest.mark.shared
@pytest.mark.parametrize("number", [1, 7, 20, 36, 67])
def test_annotated_glands_lose_nothing(shared_data: Path, number: int) -> None:
    with open_slide(shared_data / f"glas/train_{number}.webp") as slide:
        rgb = slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0)
    small = np.asarray(cv2.resize(rgb, None, fx=0.0775, fy=0.0775, interpolation=cv2.INTER_AREA), np.uint8)
    labels = cv2.imread(str(shared_data / f"glas/train_{number}_anno.png"), cv2.IMREAD_UNCHANGED)
    glands = np.asarray(labels) > 0
    mask = mask_tissue(small, UM)
    large = cv2.resize(mask.astype(np.uint8), glands.shape[::-1], interpolation=cv2.INTER_NEAREST)
    assert glands.any()
    assert (large[glands] == 1).all()
