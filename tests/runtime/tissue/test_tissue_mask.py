from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.runtime.tissue.background import count_levels, find_quantile, mark_thumbnail
from glandseg.runtime.tissue.thumbnail import make_thumbnail
from glandseg.runtime.tissue.tissue_mask import TissueMask, mask_tissue
from glandseg.slides.mpp import Resolution
from glandseg.slides.open import open_slide
from glandseg.slides.retry import RetryPolicy
from glandseg.slides.slide import Slide, build_levels

Pixels = NDArray[np.uint8]
UM = 8.0
BACKGROUND = (242, 240, 243)
EOSIN = (214, 140, 180)


def draw_background(width: int = 300, height: int = 200) -> Pixels:
    noise = np.random.default_rng(0).normal(0, 1.5, (height, width, 3))
    return np.clip(np.rint(np.array(BACKGROUND) + noise), 0, 255).astype(np.uint8)


def stain(density: float) -> tuple[int, ...]:
    return tuple(round(channel * 10**-density) for channel in BACKGROUND)


class ThumbnailSlide(Slide):
    """A slide of 8 um/px; reading px of `broken` columns fails."""

    def __init__(self, image: Pixels, broken_from: int | None = None) -> None:
        self.path = Path("thumbnail")
        self.format = "memory"
        self.image = image
        self.broken_from = broken_from
        self.levels = build_levels([(image.shape[1], image.shape[0])])
        self.resolution = Resolution(UM, "test")
        self.retry_policy = RetryPolicy(0)

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        if self.broken_from is not None and x + width > self.broken_from:
            raise OSError("bad sector")
        return np.array(self.image[y : y + height, x : x + width], np.uint8)

    def close(self) -> None:
        pass


def test_tissue_is_kept_with_a_margin_and_background_dropped() -> None:
    image = draw_background()
    image[60:140, 100:200] = EOSIN
    mask = mask_tissue(image, UM)
    assert mask[56:144, 96:204].all()
    assert not mask[:40].any()
    assert not mask[:, :80].any()


@pytest.mark.parametrize("density", [0.05, 0.03])
def test_pale_tissue_is_kept(density: float) -> None:
    image = draw_background()
    image[60:140, 100:200] = stain(density)
    assert mask_tissue(image, UM)[60:140, 100:200].all()


def test_pale_tissue_on_most_of_the_slide_is_not_taken_for_background() -> None:
    image = draw_background()
    image[20:] = stain(0.05)
    mask = mask_tissue(image, UM)
    assert mask[20:].all()
    assert not mask[:8].any()


def test_strands_in_clear_mucus_are_kept() -> None:
    image = draw_background()
    image[60:140, 100:200:4] = stain(0.06)
    assert mask_tissue(image, UM)[60:140, 100:200].all()


@pytest.mark.parametrize("color", [(20, 120, 60), (30, 60, 170), (15, 15, 20)])
def test_pen_is_dropped(color: tuple[int, int, int]) -> None:
    image = draw_background()
    image[60:140, 40:120] = EOSIN
    cv2.line(image, (220, 20), (260, 180), color, 8, cv2.LINE_AA)
    mask = mask_tissue(image, UM)
    assert mask[60:140, 40:120].all()
    assert not mask[:, 200:].any()


def test_ink_on_the_edge_of_tissue_takes_none_of_it() -> None:
    image = draw_background()
    image[60:140, 40:120] = EOSIN
    for y in range(66, 134, 10):
        image[y : y + 4, 112:118] = (20, 120, 110)
    assert mask_tissue(image, UM)[60:140, 40:120].all()


def test_red_pen_is_kept_as_it_looks_like_eosin() -> None:
    image = draw_background()
    cv2.line(image, (220, 20), (260, 180), (200, 40, 60), 8)
    assert mask_tissue(image, UM)[100, 238:243].all()


@pytest.mark.parametrize("angle", [0, 3, 30, 90])
def test_edges_of_coverslips_are_dropped(angle: int) -> None:
    image = draw_background(600, 600)
    image[250:350, 250:350] = EOSIN
    turn = np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    across = np.array([-turn[1], turn[0]])
    for offset, color in ((150, (120, 121, 119)), (155, (255, 255, 255))):
        start, end = (np.array([300, 300]) + across * offset + turn * s for s in (-280, 280))
        cv2.line(image, start.astype(int).tolist(), end.astype(int).tolist(), color, 4, cv2.LINE_AA)
    mask = mask_tissue(image, UM)
    assert mask[250:350, 250:350].all()
    far = np.ones_like(mask)
    far[230:370, 230:370] = False
    assert not (mask & far).any()


def test_a_coverslips_frame_is_dropped_and_tissue_that_it_crosses_kept() -> None:
    image = draw_background(900, 1050)
    image[500:600, 60:160] = EOSIN
    cv2.rectangle(image, (100, 60), (800, 1000), (140, 141, 139), 3)
    mask = mask_tissue(image, UM)
    assert mask[500:600, 60:160].all()
    assert not mask[50:70, 150:780].any()
    assert not mask[150:950, 790:810].any()
    assert not mask[120:470, 95:105].any()


def test_thin_tissue_is_no_line() -> None:
    image = draw_background(700, 300)
    cv2.line(image, (20, 150), (680, 150), EOSIN, 6)
    assert mask_tissue(image, UM)[150, 20:680].all()
    x = np.arange(20, 680)
    image = draw_background(700, 300)
    image[(150 + 40 * np.sin(x / 60)).astype(int), x] = (150, 150, 150)  # bent, as fibres and mucus are
    assert mask_tissue(image, UM)[(150 + 40 * np.sin(x / 60)).astype(int), x].all()


def test_dust_is_dropped_and_stained_crumbs_kept() -> None:
    image = draw_background()
    cv2.circle(image, (60, 60), 10, (60, 60, 62), -1)
    cv2.circle(image, (160, 60), 10, EOSIN, -1)
    cv2.circle(image, (60, 140), 10, (90, 70, 140), -1)  # haematoxylin
    cv2.circle(image, (160, 140), 30, (60, 60, 62), -1)  # too large for dust: in doubt, kept
    mask = mask_tissue(image, UM)
    assert not mask[45:75, 45:75].any()
    assert mask[60, 160]
    assert mask[140, 60]
    assert mask[140, 160]


@pytest.mark.parametrize("um_per_px", [8.0, 16.0, 32.0])
def test_pale_mucus_is_kept_on_coarse_thumbnails_too(um_per_px: float) -> None:
    image = draw_background(400, 300)
    image[60:200, 100:300] = stain(0.04)
    assert mask_tissue(image, um_per_px)[60:200, 100:300].all()


def test_the_mask_does_not_depend_on_bands() -> None:
    image = draw_background(130, 170)
    image[40:90, 30:70] = stain(0.03)
    masks = []
    for band_px in (1, 1000, 1 << 18):
        color, fill = np.array(BACKGROUND, np.float32), np.zeros((170, 130), np.bool_)
        marks = mark_thumbnail(image, color, fill, band_px)
        masks.append(marks.differs)
    assert masks[0].any()
    assert not masks[0].all()
    assert all(np.array_equal(masks[0], mask) for mask in masks)


def test_specks_are_dropped_and_lumina_kept() -> None:
    image = draw_background()
    image[30:33, 30:33] = EOSIN
    cv2.circle(image, (150, 100), 60, EOSIN, -1)
    cv2.circle(image, (150, 100), 30, BACKGROUND, -1)
    mask = mask_tissue(image, UM)
    assert not mask[:60, :60].any()
    assert mask[100, 150]


@pytest.mark.parametrize("fill", [0, 255])
def test_scanner_fill_is_dropped_and_does_not_hide_background(fill: int) -> None:
    image = np.full((200, 600, 3), fill, np.uint8)
    image[:, :200] = draw_background(200)
    image[60:140, 60:140] = EOSIN
    mask = mask_tissue(image, UM)
    assert mask[60:140, 60:140].all()
    assert not mask[:, 240:].any()
    assert not mask[:30].any()


@pytest.mark.parametrize("level", [230, 255])
def test_empty_slide_is_empty(level: int) -> None:
    mask = make_thumbnail(ThumbnailSlide(np.full((200, 300, 3), level, np.uint8))).tissue
    assert not mask.mask.any()
    assert mask.area_mm2 == 0


def test_slide_without_background_is_kept_whole() -> None:
    noise = np.random.default_rng(0).integers(-30, 30, (200, 300, 3))
    image = np.clip(np.array(EOSIN) + noise, 0, 255).astype(np.uint8)
    assert make_thumbnail(ThumbnailSlide(image)).tissue.mask.all()


def test_small_image_is_kept_whole() -> None:
    assert make_thumbnail(ThumbnailSlide(draw_background(60, 60))).tissue.mask.all()


def test_unreadable_parts_are_kept() -> None:
    found = make_thumbnail(ThumbnailSlide(draw_background(1100, 100), broken_from=1050)).tissue
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
    slide = ThumbnailSlide(draw_background())
    slide.resolution = None
    with pytest.raises(BadInputError, match="--mpp"):
        make_thumbnail(slide)


@pytest.mark.shared
def test_real_slide(shared_data: Path) -> None:
    with open_slide(shared_data / "slides/CMU-1-Small-Region.svs") as slide:
        mask = make_thumbnail(slide).tissue.mask
    assert 0.4 < mask.mean() < 0.7
    assert mask[60:180, 55:90].all()  # the tissue's body
    assert not mask[100:, :15].any()  # background


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


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.995, 1.0])
def test_quantiles_of_counts_are_those_of_the_levels(share: float) -> None:
    for size in (1, 2, 7, 100):
        levels = np.random.default_rng(size).integers(0, 256, (1, size), np.uint8)
        found = find_quantile(count_levels(levels), share)
        assert found == pytest.approx(float(np.quantile(levels, share)))
