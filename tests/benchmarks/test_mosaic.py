"""A mosaic slide shows its squares at every level, and its truth lies where their glands are."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from benchmarks.mask_overlap import compare_masks
from benchmarks.mosaic_layout import Mosaic, lay_islands
from benchmarks.mosaic_slide import write_slide
from benchmarks.mosaic_tissue import GLASS, QUALITY, SQUARE_PX, Tissue, find_tissue
from benchmarks.mosaic_truth import write_truth
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane

UM = 0.62
JPEG_ERROR = 6  # grey levels, on smooth images at the mosaic's quality
Pixels = NDArray[np.uint8]


def draw_square(red: int) -> tuple[Pixels, NDArray[np.bool_]]:
    y, x = np.mgrid[:SQUARE_PX, :SQUARE_PX]
    image = np.stack([np.full_like(x, red), x // 8, y // 8], axis=2).astype(np.uint8)
    return image, np.hypot(x - 300, y - 700) < red


@pytest.fixture(scope="module")
def tissue() -> Tissue:
    return Tissue("two squares", [lambda: draw_square(200), lambda: draw_square(90)], UM)


def lay_image(mosaic: Mosaic) -> tuple[Pixels, NDArray[np.bool_]]:
    glass = np.full((SQUARE_PX, SQUARE_PX, 3), GLASS, np.uint8), np.zeros((SQUARE_PX, SQUARE_PX), np.bool_)
    squares = [draw_square(200), draw_square(90), glass]  # -1 is glass
    rows = [[squares[number] for number in row] for row in mosaic.squares]
    image = np.vstack([np.hstack([square[0] for square in row]) for row in rows])
    glands = np.vstack([np.hstack([square[1] for square in row]) for row in rows])
    side = mosaic.side_px
    return image[:side, :side], glands[:side, :side]


@pytest.mark.parametrize(("side", "share"), [(700, 1.0), (3000, 1.0), (4000, 0.3)])
def test_every_level_shows_the_squares(tmp_path: Path, tissue: Tissue, side: int, share: float) -> None:
    mosaic = Mosaic(tissue, side_px=side, share=share, seed=1)
    write_slide(tmp_path / "m.tif", mosaic)
    image, _ = lay_image(mosaic)
    with openslide.OpenSlide(tmp_path / "m.tif") as slide, tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        assert slide.level_count == len(tiff.pages) == mosaic.levels
        assert max(slide.level_dimensions[-1]) <= 512
        for level, (width, height) in enumerate(slide.level_dimensions):
            assert width == height == -(-side >> level)
            shown = np.asarray(slide.read_region((0, 0), level, (width, height)))
            assert shown[..., 3].min() == 255  # nothing is missing, glass neither
            whole = (side >> level) << level
            size = (side >> level, side >> level)
            wanted = cv2.resize(image[:whole, :whole], size, interpolation=cv2.INTER_AREA)
            error = np.abs(shown[: size[0], : size[0], :3].astype(int) - wanted)
            assert np.percentile(error, 95) <= JPEG_ERROR
            assert np.array_equal(shown[..., :3], tiff.pages[level].asarray())


def test_pixel_size_stands_in_the_file(tmp_path: Path, tissue: Tissue) -> None:
    write_slide(tmp_path / "m.tif", Mosaic(tissue, side_px=1500))
    with open_slide(tmp_path / "m.tif", None) as slide:
        assert slide.resolution is not None
        assert slide.resolution.um_per_px == pytest.approx(UM, rel=1e-6)


def test_same_seed_same_bytes(tmp_path: Path, tissue: Tissue) -> None:
    for name, seed in (("first", 3), ("again", 3), ("other", 4)):
        write_slide(tmp_path / name, Mosaic(tissue, side_px=4096, share=0.5, seed=seed))
    first, again, other = ((tmp_path / name).read_bytes() for name in ("first", "again", "other"))
    assert first == again
    assert first != other


def test_truth_lies_on_the_glands(tmp_path: Path, tissue: Tissue) -> None:
    mosaic = Mosaic(tissue, side_px=2500, share=0.6, seed=2)
    write_truth(tmp_path / "t.tif", mosaic, UM)
    _, glands = lay_image(mosaic)
    assert np.array_equal(tifffile.imread(tmp_path / "t.tif"), glands * np.uint8(255))


def test_truth_has_the_size_that_is_read_at_the_models_um(tmp_path: Path, tissue: Tissue) -> None:
    mosaic = Mosaic(tissue, side_px=3001)
    write_slide(tmp_path / "m.tif", mosaic)
    write_truth(tmp_path / "t.tif", mosaic, 1.3)
    truth = tifffile.imread(tmp_path / "t.tif")
    _, glands = lay_image(mosaic)
    with open_slide(tmp_path / "m.tif", None) as slide:
        plane = SlidePlane(slide, 1.3)
        assert truth.shape == (plane.height_px, plane.width_px)
    assert truth.mean() / 255 == pytest.approx(glands.mean(), abs=0.002)


def test_glass_is_stored_once(tmp_path: Path, tissue: Tissue) -> None:
    mosaic = Mosaic(tissue, side_px=16384, share=0.05)
    write_slide(tmp_path / "m.tif", mosaic)
    tiles_of_tissue = 16 * np.count_nonzero(mosaic.squares >= 0)
    with tifffile.TiffFile(tmp_path / "m.tif") as tiff:
        offsets = tiff.pages[0].dataoffsets
        assert len(offsets) == 64 * 64
        assert len(set(offsets)) == tiles_of_tissue + 1
        assert tiff.pages[0].asarray()[mosaic_glass(mosaic)].tolist() == [GLASS] * 3


def mosaic_glass(mosaic: Mosaic) -> tuple[int, int]:
    row, column = np.argwhere(mosaic.squares < 0)[0]
    return int(row) * SQUARE_PX, int(column) * SQUARE_PX


@pytest.mark.parametrize("share", [0.02, 0.5, 1.0])
def test_islands_cover_what_was_asked_for(share: float) -> None:
    covered = lay_islands(98, share, np.random.default_rng(0)).mean()
    assert share <= covered <= share + 0.15


@pytest.mark.parametrize(("side", "share"), [(0, 1.0), (100, 0.0), (100, 1.5)])
def test_a_slide_of_nothing_is_refused(tissue: Tissue, side: int, share: float) -> None:
    with pytest.raises(ValueError, match="Received"):
        Mosaic(tissue, side_px=side, share=share)


def test_tissue_is_drawn_where_glas_is_not(tmp_path: Path) -> None:
    found = find_tissue(tmp_path / "nothing")
    assert found.name == "drawn tissue"
    image = np.asarray(cv2.imdecode(np.frombuffer(found[0].tiles[2][0], np.uint8), cv2.IMREAD_COLOR))
    assert image.shape == (256, 256, 3)
    assert image.std() > 10
    assert 0.1 < np.unpackbits(found[0].glands).mean() < 0.9


@pytest.mark.shared
def test_glas_is_taken_where_it_is(shared_data: Path) -> None:
    found = find_tissue(shared_data / "glas")
    assert len(found) == 85
    assert 0.1 < np.unpackbits(found[0].glands).mean() < 0.9
    assert len(found[0].tiles[0][0]) > 256 * 256 * QUALITY / 100 * 0.1


def write_rectangle(path: Path, side: int, rows: slice) -> None:
    mask = np.zeros((side, side), np.uint8)
    mask[rows] = 255
    tifffile.imwrite(path, mask, tile=(256, 256), compression="zlib", photometric="minisblack")


def test_overlap_counts_pixels_over_all_bands(tmp_path: Path) -> None:
    write_rectangle(tmp_path / "a.tif", 1200, slice(100, 700))
    write_rectangle(tmp_path / "b.tif", 1200, slice(400, 1000))
    found = compare_masks(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (found.first, found.second, found.both) == (600 * 1200, 600 * 1200, 300 * 1200)
    assert found.dice == pytest.approx(0.5)


def test_masks_of_other_size_are_stretched(tmp_path: Path) -> None:
    write_rectangle(tmp_path / "a.tif", 1200, slice(300, 900))
    write_rectangle(tmp_path / "b.tif", 1000, slice(250, 750))
    assert compare_masks(tmp_path / "a.tif", tmp_path / "b.tif").dice == pytest.approx(1, abs=0.005)


@pytest.mark.parametrize(("first", "second"), [(1200, 1201), (1201, 1200)])
def test_masks_that_differ_by_the_last_pixel_are_laid_corner_on_corner(
    first: int, second: int, tmp_path: Path
) -> None:
    write_rectangle(tmp_path / "a.tif", first, slice(900, 1100))
    write_rectangle(tmp_path / "b.tif", second, slice(900, 1100))
    found = compare_masks(tmp_path / "a.tif", tmp_path / "b.tif")
    assert (found.first, found.second, found.both) == (200 * first,) * 3


def test_empty_masks_agree(tmp_path: Path) -> None:
    write_rectangle(tmp_path / "a.tif", 300, slice(0, 0))
    assert compare_masks(tmp_path / "a.tif", tmp_path / "a.tif").dice == 1
