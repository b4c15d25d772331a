"""Slides with parts that cannot be decoded: read around, told, the same every time."""

from __future__ import annotations

import errno
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.tissue.thumbnail import make_thumbnail
from glandseg.slides.mpp import Resolution
from glandseg.slides.open import open_slide
from glandseg.slides.retry import RetryPolicy
from glandseg.slides.slide import Slide, UnreadableError, build_levels
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

Pixels = NDArray[np.uint8]
GLASS = (240, 238, 242)
BAD = 7  # index of a tile of 64 px in a row of 10
TILE = 64


def draw(side: int = 640) -> Pixels:
    noise = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def overwrite(path: Path, page: int, *tiles: int) -> None:
    """Overwrite tiles of one page of a TIFF with zeros."""
    with tifffile.TiffFile(path) as tiff:
        found = tiff.pages[page]
        places = [(found.dataoffsets[i], found.databytecounts[i]) for i in tiles]
    with path.open("r+b") as file:
        for offset, count in places:
            file.seek(offset)
            file.write(bytes(count))


def write_pyramid(path: Path, **options: Any) -> Path:
    image = draw()
    options = {"tile": (TILE, TILE), "photometric": "rgb", "compression": "jpeg", "metadata": None, **options}
    with tifffile.TiffWriter(path) as tiff:
        for step in (1, 2, 4):
            small = cv2.resize(image, (640 // step, 640 // step), interpolation=cv2.INTER_AREA)
            scale = {"resolution": (20_000 / step,) * 2, "resolutionunit": "CENTIMETER"}
            tiff.write(small, subfiletype=int(step > 1), **scale, **options)
    return path


class FailingSlide(Slide):
    """An image of 0.5 um/px whose px from (64, 64) on for 64 fail a number of times."""

    def __init__(self, times: float, error: Exception) -> None:
        self.path, self.format = Path("a"), "memory"
        self.image = draw()
        self.levels = build_levels([(640, 640)])
        self.resolution = Resolution(0.5, "test")
        self.retry_policy = RetryPolicy(sleep=lambda seconds: None)
        self.left, self.error = times, error

    def get_cell_wh(self, level: int) -> tuple[int, int]:
        return TILE, TILE

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        if x < 128 and x + width > 64 and y < 128 and y + height > 64:
            self.left -= 1
            if self.left >= 0:
                raise self.error
        return np.array(self.image[y : y + height, x : x + width])

    def close(self) -> None:
        pass


# A part that cannot be read


@pytest.mark.parametrize("error", [ValueError("no JPEG"), OSError(errno.EIO, "Input/output error")])
def test_what_always_fails_is_filled_and_told(error: Exception) -> None:
    unread_regions, slide = UnreadRegions(), FailingSlide(float("inf"), error)
    plane = SlidePlane(slide, 0.5, unread_regions=unread_regions, fill_rgb=GLASS)
    pixels = plane.read(0, 0, 640, 640)
    expected = draw()
    expected[64:128, 64:128] = GLASS
    assert np.array_equal(pixels, expected)
    assert [(e.x_l0, e.y_l0, e.width_l0, e.height_l0) for e in unread_regions.entries] == [(64, 64, 64, 64)]
    assert unread_regions.entries[0].reason == str(error)
    unread = unread_regions.mask(0, 0, 640, 640, plane.l0_per_px)
    assert unread is not None
    assert unread[64:128, 64:128].all()
    assert np.count_nonzero(unread) == 64 * 64
    assert unread_regions.mask(128, 0, 100, 640, plane.l0_per_px) is None


def test_without_a_unread_regions_it_fails() -> None:
    with pytest.raises(UnreadableError, match=r"no JPEG"):
        SlidePlane(FailingSlide(float("inf"), ValueError("no JPEG")), 0.5).read(0, 0, 640, 640)


@pytest.mark.parametrize(
    ("times", "error"), [(1, ValueError("poisoned")), (4, OSError(errno.ESTALE, "Stale file handle"))]
)
def test_what_fails_for_a_while_is_read(times: int, error: Exception) -> None:
    unread_regions = UnreadRegions()
    pixels = SlidePlane(FailingSlide(times, error), 0.5, unread_regions=unread_regions).read(0, 0, 640, 640)
    assert np.array_equal(pixels, draw())
    assert unread_regions.entries == ()


def test_px_at_the_rim_of_what_is_unread_count_as_unread() -> None:
    unread_regions = UnreadRegions()
    plane = SlidePlane(
        FailingSlide(float("inf"), ValueError("no")), 0.7, unread_regions=unread_regions, fill_rgb=(0, 0, 0)
    )
    whole = SlidePlane(FailingSlide(0, ValueError("no")), 0.7)
    assert (
        unread_regions.mask(0, 0, plane.width_px, plane.height_px, plane.l0_per_px) is None
    )  # nothing read yet
    differs = (plane.read(0, 0, 300, 300) != whole.read(0, 0, 300, 300)).any(axis=2)
    unread = unread_regions.mask(0, 0, 300, 300, plane.l0_per_px)
    assert unread is not None
    assert differs.any()
    assert not (differs & ~unread).any()


# Real TIFFs


def test_tiff_with_bad_tiles(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif")
    overwrite(path, 0, BAD, 23)
    unread_regions = UnreadRegions()
    with open_slide(path) as slide:
        SlidePlane(slide, 0.62, unread_regions=unread_regions).read(0, 0, 516, 516)
    places = [(e.x_l0, e.y_l0, e.width_l0, e.height_l0) for e in unread_regions.entries]
    assert places == [(BAD * TILE, 0, TILE, TILE), (3 * TILE, 2 * TILE, TILE, TILE)]
    assert all("a.tif" not in entry.reason for entry in unread_regions.entries)


def test_a_finer_level_stands_in(tmp_path: Path) -> None:
    path, sound = (write_pyramid(tmp_path / name, compression="deflate") for name in ("a.tif", "b.tif"))
    overwrite(path, 1, 0)
    overwrite(path, 2, 0, 1)
    unread_regions = UnreadRegions()
    with open_slide(path) as slide, open_slide(sound) as whole:
        pixels = SlidePlane(slide, 2.0, unread_regions=unread_regions).read(0, 0, 160, 160)
        expected = SlidePlane(whole, 2.0).read(0, 0, 160, 160)
    assert unread_regions.entries == ()
    assert np.abs(pixels.astype(int) - expected).max() <= 2


def test_what_no_level_gives_is_told_in_level_0(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif")
    overwrite(path, 0, 11)
    overwrite(path, 1, 0)
    overwrite(path, 2, 0)
    with open_slide(path) as slide:
        thumbnail = make_thumbnail(slide, unread_regions := UnreadRegions())
    assert [(e.x_l0, e.y_l0) for e in unread_regions.entries] == [(TILE, TILE)]
    assert thumbnail.unread.any()
    assert thumbnail.unread.mean() < 0.05


def test_a_jpeg_without_its_end_is_unread(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif")
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages[0]
        end = page.dataoffsets[BAD] + page.databytecounts[BAD]
    with path.open("r+b") as file:
        file.seek(end - 40)
        file.write(bytes(40))
    with open_slide(path) as slide, pytest.raises(UnreadableError, match="end is missing"):
        slide.read_region(0, BAD * TILE, 0, TILE, TILE)


@pytest.mark.parametrize("options", [{"tile": None, "rowsperstrip": 16}, {"tile": None, "compression": None}])
def test_a_file_cut_short_keeps_its_beginning(tmp_path: Path, options: dict[str, Any]) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, draw(), photometric="rgb", metadata=None, **{"compression": "deflate", **options})
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    unread_regions = UnreadRegions()
    with open_slide(path, 0.5) as slide:
        pixels = SlidePlane(slide, 0.5, unread_regions=unread_regions).read(0, 0, 640, 640)
    first = min(entry.y_l0 for entry in unread_regions.entries)
    assert 200 < first < 400
    assert np.array_equal(pixels[:first], draw()[:first])
    assert (pixels[-100:] == 255).all()
    assert {entry.y_l0 + entry.height_l0 for entry in unread_regions.entries} >= {640}


def test_what_is_told_does_not_depend_on_order_or_threads(tmp_path: Path) -> None:
    path = write_pyramid(tmp_path / "a.tif")
    overwrite(path, 0, BAD, 23, 24, 25, 60)
    outcomes = []
    for seed, threads in ((0, 1), (1, 1), (2, 4)):
        places = [(x, y) for x in range(0, 500, 100) for y in range(0, 500, 100)]
        random.Random(seed).shuffle(places)
        unread_regions = UnreadRegions()
        with open_slide(path, cache_bytes=1) as slide, ThreadPoolExecutor(threads) as pool:
            plane = SlidePlane(slide, 0.62, cache_bytes=1, unread_regions=unread_regions)
            parts = list(pool.map(lambda place, p=plane: p.read(place[0], place[1], 100, 100), places))
            masks = [unread_regions.mask(*place, 100, 100, plane.l0_per_px) for place in places]
        in_order = sorted(zip(places, parts, masks, strict=True), key=lambda item: item[0])
        outcomes.append(
            (
                unread_regions.entries,
                [p.tobytes() for _, p, _ in in_order],
                [None if m is None else m.tobytes() for _, _, m in in_order],
            )
        )
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert len(outcomes[0][0]) == 5


# OpenSlide


@pytest.fixture
def damaged_svs(shared_data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "a.svs"
    path.write_bytes((shared_data / "slides/CMU-1-Small-Region.svs").read_bytes())
    overwrite(path, 0, 45, 46)
    return path


@pytest.mark.shared
def test_one_bad_tile_does_not_poison_the_slide(damaged_svs: Path) -> None:
    with open_slide(damaged_svs) as slide:
        before = slide.read_region(0, 0, 0, 300, 300)
        with pytest.raises(UnreadableError):
            slide.read_region(0, 1200, 960, 240, 240)
        assert np.array_equal(slide.read_region(0, 0, 0, 300, 300), before)


@pytest.mark.shared
@pytest.mark.parametrize("threads", [1, 4])
def test_svs_with_bad_tiles(damaged_svs: Path, shared_data: Path, threads: int) -> None:
    unread_regions = UnreadRegions()
    with (
        open_slide(damaged_svs) as slide,
        open_slide(shared_data / "slides/CMU-1-Small-Region.svs") as sound,
        ThreadPoolExecutor(threads) as pool,
    ):
        plane, whole = (
            SlidePlane(slide, 0.62, unread_regions=unread_regions, fill_rgb=GLASS),
            SlidePlane(sound, 0.62),
        )
        places = [(x, y) for y in range(0, 1500, 250) for x in range(0, 1500, 250)]
        parts = list(pool.map(lambda place: plane.read(place[0], place[1], 250, 250), places))
        for place, part in zip(places, parts, strict=True):
            unread = unread_regions.mask(*place, 250, 250, plane.l0_per_px)
            readable = np.ones((250, 250), np.bool_) if unread is None else ~unread
            assert np.array_equal(part[readable], whole.read(*place, 250, 250)[readable])
    assert [(e.x_l0, e.y_l0, e.width_l0, e.height_l0) for e in unread_regions.entries] == [
        (1200, 960, 240, 240),
        (1440, 960, 240, 240),
    ]


@pytest.mark.shared
def test_a_poisoned_handle_is_replaced(shared_data: Path) -> None:
    with open_slide(shared_data / "slides/CMU-1-Small-Region.svs") as slide:
        before = slide.read_region(0, 500, 500, 100, 100)

        class Poisoned:
            def read_region(self, *request: Any) -> None:
                raise openslide.OpenSlideError("something failed earlier")

        slide._handle = Poisoned()  # type: ignore[attr-defined]
        assert np.array_equal(slide.read_region(0, 500, 500, 100, 100), before)
        assert not isinstance(slide._handle, Poisoned)  # type: ignore[attr-defined]


@pytest.mark.shared
def test_thumbnail_of_a_damaged_slide_is_told_once_and_fills_with_glass(damaged_svs: Path) -> None:
    unread_regions = UnreadRegions()
    with open_slide(damaged_svs) as slide:
        thumbnail = make_thumbnail(slide, unread_regions)
    assert len(unread_regions.entries) == 2
    assert thumbnail.unread.any()
    assert (thumbnail.rgb[thumbnail.unread] == np.rint(thumbnail.white_point)).all()
    share = unread_regions.measure_share(thumbnail.tissue.mask, thumbnail.tissue.um_per_px / 0.499)
    assert 0.01 < share < 0.05
