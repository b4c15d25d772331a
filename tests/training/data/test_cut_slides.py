"""Patches lie in the annotated regions, at the requested um/px, with their labels."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.cut_slides import CutPatch, CutSettings, cut_slide

Box = tuple[float, float, float, float]
HALF = CutSettings(um_per_px=1.0, side=20, stride=10, mpp=0.5)  # 2 level-0 px a px


def write_regions(path: Path, *regions: tuple[str, Box]) -> Path:
    features = [
        {
            "type": "Feature",
            "geometry": {
                "type": "Polygon",
                "coordinates": [[[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]],
            },
            "properties": {"objectType": "annotation", "classification": {"name": name, "color": [0, 0, 0]}},
        }
        for name, (x0, y0, x1, y1) in regions
    ]
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Draw an image of 200 x 160 px whose colors encode the place; its right quarter is white."""
    y, x = np.mgrid[:160, :200]
    pixels = np.stack([x, y, np.full_like(x, 90)], axis=2).astype(np.uint8)
    pixels[:, 150:] = 255
    cv2.imencode(".png", pixels[..., ::-1])[1].tofile(tmp_path / "one.png")
    return tmp_path / "one.png"


def cut(slide: Path, settings: CutSettings, *regions: tuple[str, Box]) -> list[CutPatch]:
    return list(cut_slide(slide, write_regions(slide.with_suffix(".geojson"), *regions), settings))


def place(patches: list[CutPatch]) -> list[tuple[int, int]]:
    return [(patch.x_px, patch.y_px) for patch in patches]


def test_a_region_is_covered_from_corner_to_corner(slide: Path) -> None:
    patches = cut(slide, HALF, ("Stroma", (10, 20, 100, 60)))  # px 5..50, 10..30
    assert place(patches) == [(5, 10), (15, 10), (25, 10), (30, 10)]
    for patch in patches:
        assert patch.image.shape == (20, 20, 3) and patch.mask is None and patch.present == (True, False)
        middle = patch.image[10, 10].astype(float)
        np.testing.assert_allclose(
            middle, [2 * (patch.x_px + 10) + 0.5, 2 * (patch.y_px + 10) + 0.5, 90], atol=1
        )


def test_patches_that_stick_out_too_far_are_left_out(slide: Path) -> None:
    for height, count in ((38, 1), (37.9, 0)):  # 95 % of 40
        region = ("gland", (10, 20, 50, 20 + height))
        if count:
            assert len(cut(slide, HALF, region)) == count
        else:
            with pytest.raises(
                BadInputError, match=r"one\.geojson: no patch of 20 px \(20 um\) lies in an annotated"
            ):
                cut(slide, HALF, region)


def test_neighbours_of_both_classes_are_one_area(slide: Path) -> None:
    patches = cut(slide, HALF, ("gland", (0, 0, 40, 40)), ("stroma", (40, 0, 80, 40)))
    assert place(patches) == [(0, 0), (10, 0), (20, 0)]
    assert [patch.present for patch in patches] == [(False, True), (True, True), (True, False)]


@pytest.mark.parametrize(("width", "present"), [(2, (True, True)), (1.9, (True, False))])
def test_five_percent_make_a_class_present(slide: Path, width: float, present: tuple[bool, bool]) -> None:
    (patch,) = cut(slide, HALF, ("stroma", (0, 0, 40, 40)), ("gland", (0, 0, width, 40)))
    assert patch.present == present


def test_white_patches_are_dropped(slide: Path) -> None:
    patches = cut(slide, HALF, ("stroma", (0, 0, 200, 40)))
    assert max(patch.x_px for patch in patches) == 70  # 75 px are tissue, then all is white


def test_regions_beyond_the_slide_are_cropped(slide: Path) -> None:
    patches = cut(slide, HALF, ("stroma", (-50, 100, 60, 900)))
    assert place(patches) == [(x, y) for y in (50, 60) for x in (0, 10)]
    with pytest.raises(BadInputError, match="no patch of 20 px"):
        cut(slide, HALF, ("stroma", (300, 300, 400, 400)))


def test_outlines_give_masks_of_wholly_drawn_patches(slide: Path) -> None:
    settings = CutSettings(um_per_px=1.0, side=20, stride=10, mpp=0.5, outlines=True)
    patches = cut(slide, settings, ("stroma", (1, 0, 62, 40)), ("gland", (20, 10, 30, 20)))
    assert place(patches) == [(1, 0), (11, 0)]  # not at 0.5
    truth = np.zeros((40, 40), np.uint8)
    truth[5:10, 10:15] = 255
    for patch in patches:
        assert patch.mask is not None
        np.testing.assert_array_equal(patch.mask, truth[:20, patch.x_px : patch.x_px + 20])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"um_per_px": 0.0}, "um_per_px: above 0. Received: 0"),
        ({"side": 0}, "side: at least 1. Received: 0"),
        ({"stride": -1}, "stride: at least 1. Received: -1"),
        ({"covered": 1.5}, "covered: at most 1. Received: 1.5"),
    ],
)
def test_wrong_settings_are_refused(words: dict[str, float], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        CutSettings(**words)  # type: ignore[arg-type]


def test_a_slide_without_resolution_is_refused(slide: Path) -> None:
    with pytest.raises(BadInputError, match="does not say its microns per pixel.*Give --mpp"):
        cut(slide, CutSettings(), ("stroma", (0, 0, 100, 100)))


@pytest.mark.shared
def test_a_real_slide(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "slides/CMU-1-Small-Region.svs"
    regions = write_regions(
        tmp_path / "a.geojson", ("Non-gland", (1000, 900, 2000, 1900)), ("Gland", (1300, 1300, 1700, 1700))
    )
    patches = list(cut_slide(path, regions, CutSettings()))
    both, gland, other = (
        sum(patch.present == present for patch in patches)
        for present in ((True, True), (False, True), (True, False))
    )
    assert both > 20 and gland > 5 and other > 60 and len(patches) > 150
    with open_slide(path) as slide:
        plane = SlidePlane(slide, 0.62)
        for patch in patches[::40]:
            np.testing.assert_array_equal(patch.image, plane.read(patch.x_px, patch.y_px, 112, 112))
