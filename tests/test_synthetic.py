"""Drawn tissue: the same seed gives the same drawing, the truth fits it, and the file opens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import pytest
import tifffile

from glandseg.synthetic import Stain, TileKind, draw_crowded_tile, draw_slide, draw_tile, write_slide
from glandseg.synthetic.canvas import fill_mask
from glandseg.synthetic.crypt import place_crypts


def test_same_seed_gives_same_drawing() -> None:
    first, again, other = (draw_slide(400, 300, 2.0, seed) for seed in (7, 7, 8))
    assert np.array_equal(first[0], again[0])
    assert np.array_equal(first[1], again[1])
    assert not np.array_equal(first[0], other[0])
    assert not np.array_equal(first[1], other[1])


def test_slide_has_tissue_on_glass_and_glands_in_tissue() -> None:
    image, truth = draw_slide(500, 400, 2.0, 1)
    assert image.shape == (400, 500, 3)
    assert truth.shape == (400, 500)
    assert image.dtype == np.uint8
    assert truth.dtype == np.bool_
    assert 0.15 < truth.mean() < 0.4
    corner = image[:12, :12]
    assert corner.min() > 220
    assert not truth[:12].any()
    assert np.median(image[truth]) < 190


@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [("glands", 0.3, 0.65), ("mixed", 0.05, 0.4), ("stroma", 0.0, 0.0), ("glass", 0.0, 0.0)],
)
def test_tile_holds_what_its_kind_says(kind: TileKind, low: float, high: float) -> None:
    for seed in range(3):
        image, truth = draw_tile(200, 2.0, seed, kind)
        assert image.shape == (200, 200, 3)
        assert low <= truth.mean() <= high
        assert (image.mean() > 235) == (kind == "glass")


def test_glands_are_darker_and_bluer_than_stroma() -> None:
    image, truth = draw_tile(400, 1.4, 0, "glands")
    gland, stroma = image[truth].mean(axis=0), image[~truth].mean(axis=0)
    assert (gland < stroma - 10).all()
    assert stroma[0] / stroma[2] > gland[0] / gland[2]


def test_tile_edges_cut_glands() -> None:
    truth = draw_tile(400, 1.4, 0, "glands")[1]
    border = np.concatenate([truth[0], truth[-1], truth[:, 0], truth[:, -1]])
    assert 0.1 < border.mean() < 0.9


def test_crypts_do_not_touch_and_stay_inside() -> None:
    ground = np.zeros((200, 250), np.bool_)
    ground[20:180, 20:230] = True
    crypts = place_crypts(ground, 0.0, np.random.Generator(np.random.PCG64(0)))
    union = np.zeros((800, 1000), np.uint8)
    for crypt in crypts:
        fill_mask(union, crypt.outline_um(), 1.0)
    assert len(crypts) > 20
    assert cv2.connectedComponents(union)[0] - 1 == len(crypts)
    assert union[80:720, 80:920].sum() == union.sum()


def test_stain_strength_darkens() -> None:
    pale, strong = (draw_tile(128, 1.4, 0, "glands", Stain(hematoxylin=h))[0] for h in (0.6, 1.4))
    assert strong.mean() < pale.mean() - 15


@pytest.mark.parametrize("um_per_px", [0.1, 4.0])
def test_smallest_drawing_at_either_end_of_the_scale(um_per_px: float) -> None:
    assert draw_slide(64, 64, um_per_px, 0)[0].shape == (64, 64, 3)
    assert draw_tile(64, um_per_px, 0, "mixed")[0].shape == (64, 64, 3)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size_px": 63}, "63"),
        ({"size_px": 16385}, "16385"),
        ({"um_per_px": 0.0}, "um_per_px"),
        ({"um_per_px": float("nan")}, "um_per_px"),
        ({"seed": -1}, "seed"),
        ({"kind": "bone"}, "bone"),
    ],
)
def test_bad_drawing_is_refused(change: dict[str, Any], named: str) -> None:
    arguments: dict[str, Any] = {"size_px": 64, "um_per_px": 1.0, "seed": 0, "kind": "glands", **change}
    with pytest.raises(ValueError, match=named):
        draw_tile(**arguments)


def test_bad_stain_is_refused() -> None:
    with pytest.raises(ValueError, match="eosin"):
        Stain(eosin=-1.0)


def test_slide_file_opens_in_openslide(tmp_path: Path) -> None:
    image = np.tile(draw_tile(350, 0.5, 3, "glands")[0], (2, 4, 1))[:, :1301]
    path = tmp_path / "drawn.tif"
    write_slide(path, image, 0.5)
    with openslide.OpenSlide(path) as slide:
        assert slide.level_dimensions == ((1301, 700), (650, 350), (325, 175))
        assert slide.level_downsamples == pytest.approx((1.0, 2.0, 4.0), rel=0.01)
        assert slide.properties["tiff.ResolutionUnit"] == "centimeter"
        assert float(slide.properties["tiff.XResolution"]) == pytest.approx(20000.0)
        seen = np.asarray(slide.read_region((0, 0), 0, slide.dimensions).convert("RGB"))
    assert np.abs(seen.astype(int) - image).mean() < 6.0


def test_slide_file_is_a_tiled_pyramid_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    image = np.tile(draw_tile(300, 1.0, 0, "glands")[0], (2, 2, 1))
    paths = [tmp_path / name for name in ("a.tif", "b.tif")]
    for path in paths:
        write_slide(path, image, 2.0)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with tifffile.TiffFile(paths[0]) as file:
        assert file.is_bigtiff
        assert [level.shape for level in file.series[0].levels] == [(600, 600, 3), (300, 300, 3)]
        assert (
            file.pages[1].tags["XResolution"].value[0] / file.pages[1].tags["XResolution"].value[1] == 2500.0
        )


def test_bad_slide_file_is_refused(tmp_path: Path) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    with pytest.raises(ValueError, match="um_per_px"):
        write_slide(tmp_path / "a.tif", image, 0.0)
    with pytest.raises(ValueError, match="uint8"):
        write_slide(tmp_path / "a.tif", image[..., 0], 0.5)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("um_per_px", [0.62, 1.24])
def test_crowded_glands_touch_and_keep_their_numbers(um_per_px: float) -> None:
    touching = narrow = 0
    for seed in range(3):
        side = round(260 / um_per_px)
        image, labels = draw_crowded_tile(side, um_per_px, seed)
        assert image.shape == (side, side, 3) and labels.shape == (side, side) and labels.dtype == np.int32
        numbers = np.unique(labels[labels > 0])
        components = cv2.connectedComponents((labels > 0).astype(np.uint8))[0] - 1
        touching += len(numbers) - components
        for number in numbers:
            away = cv2.distanceTransform((labels != number).astype(np.uint8), cv2.DIST_L2, 5)
            others = away[(labels > 0) & (labels != number)]
            narrow += others.size > 0 and 1.5 < others.min() * um_per_px < 10
        assert 0.5 < (labels > 0).mean() < 0.85
        assert image[labels > 0].mean() < image[labels == 0].mean()
    assert touching > 2 and narrow > 2


def test_crowded_tiles_follow_from_their_seed_and_refuse_what_tiles_refuse() -> None:
    first, again, other = (draw_crowded_tile(128, 1.24, seed) for seed in (3, 3, 4))
    assert np.array_equal(first[0], again[0]) and np.array_equal(first[1], again[1])
    assert not np.array_equal(first[1], other[1])
    with pytest.raises(ValueError, match="um_per_px"):
        draw_crowded_tile(128, 9.0, 0)
