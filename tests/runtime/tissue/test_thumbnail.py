"""One look at a whole slide."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.workers import StalledError
from glandseg.runtime.slide_facts import list_early_warnings
from glandseg.runtime.tissue.thumbnail import build_thumbnail, make_thumbnail, shrink
from glandseg.runtime.tissue.thumbnail_reader import (
    describe_reading,
    lay_thumbnail,
    read_thumbnail,
    report_thumbnail,
)
from glandseg.slides.mpp import Resolution
from glandseg.slides.slide import Slide, build_levels
from glandseg.slides.unread import UnreadRegions

Pixels = NDArray[np.uint8]
BACKGROUND, EOSIN = (242, 240, 243), (214, 140, 180)


class SyntheticSlide(Slide):
    """Glass with a square of tissue in the middle, made as it is read; counts the px handed out."""

    def __init__(
        self, sizes_wh: list[tuple[int, int]], um_per_px: float, bad_from: int | None = None
    ) -> None:
        self.path, self.format = Path("drawn"), "memory"
        self.levels = build_levels(sizes_wh)
        self.resolution = Resolution(um_per_px, "test")
        self.px_read = 0
        self.bad_from = bad_from

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        self.px_read += width * height
        size = self.levels[level]
        if self.bad_from is not None and x + width > self.bad_from / size.downsample:
            raise ValueError("no JPEG")
        pixels = np.full((height, width, 3), BACKGROUND, np.uint8)
        left, right = size.width // 4 - x, size.width * 3 // 4 - x
        top, bottom = size.height // 4 - y, size.height * 3 // 4 - y
        pixels[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = EOSIN
        return pixels

    def close(self) -> None:
        pass


def test_what_a_thumbnail_tells() -> None:
    slide = SyntheticSlide([(4000, 3000)], 8.0)
    thumbnail = make_thumbnail(slide)
    assert thumbnail.um_per_px == 16.0  # 12 million px would be too many
    assert thumbnail.rgb.shape == (1500, 2000, 3)
    assert (thumbnail.rgb[0, 0] == BACKGROUND).all()
    assert thumbnail.white_point.tolist() == list(BACKGROUND)
    assert thumbnail.fill_rgb == BACKGROUND
    assert not thumbnail.is_dark
    assert not thumbnail.unread.any()
    assert thumbnail.tissue.mask[750, 1000]
    assert not thumbnail.tissue.mask[100, 100]
    assert slide.px_read < 1.1 * 4000 * 3000  # once


def test_the_coarsest_level_that_will_do_is_read() -> None:
    slide = SyntheticSlide([(32_000, 24_000), (8000, 6000), (2000, 1500)], 0.5)
    thumbnail = make_thumbnail(slide)
    assert thumbnail.um_per_px == 8.0
    assert slide.px_read < 1.2 * 2000 * 1500


def test_a_small_slide_has_a_finer_thumbnail_but_the_same_mask() -> None:
    thumbnail = make_thumbnail(SyntheticSlide([(4000, 3000)], 0.5))
    assert thumbnail.um_per_px == pytest.approx(8 / 6)
    assert thumbnail.rgb.shape == (1125, 1500, 3)
    assert thumbnail.tissue.um_per_px == 8.0
    assert thumbnail.tissue.mask.shape == (188, 250)
    assert thumbnail.tissue.mask[94, 125]
    assert not thumbnail.tissue.mask[10, 10]


def test_nothing_is_enlarged() -> None:
    assert make_thumbnail(SyntheticSlide([(300, 200)], 1.0)).um_per_px == 1.0
    assert make_thumbnail(SyntheticSlide([(300, 200)], 12.0)).um_per_px == 12.0


def test_a_crop_is_all_tissue() -> None:
    assert make_thumbnail(SyntheticSlide([(700, 500)], 0.6)).tissue.mask.all()


def test_unread_parts_count_as_tissue_look_like_background_and_are_told() -> None:
    unread_regions = UnreadRegions()
    thumbnail = make_thumbnail(SyntheticSlide([(1500, 1000)], 8.0, bad_from=1280), unread_regions)
    assert [entry.x_l0 for entry in unread_regions.entries] == [1280] * 4
    assert np.flatnonzero(thumbnail.unread.any(axis=0)).tolist() == list(range(1280, 1500))
    assert thumbnail.tissue.mask[:, 1280:].all()
    assert (thumbnail.rgb[:, 1280:] == BACKGROUND).all()
    assert thumbnail.white_point.tolist() == list(BACKGROUND)
    assert not thumbnail.tissue.mask[:, :200].any()


def test_a_slide_that_is_all_unread_is_thumbnailed() -> None:
    thumbnail = make_thumbnail(
        SyntheticSlide([(1500, 1000)], 8.0, bad_from=0), unread_regions := UnreadRegions()
    )
    assert thumbnail.unread.all()
    assert thumbnail.tissue.mask.all()
    assert not thumbnail.is_dark
    assert unread_regions.measure_share(thumbnail.tissue.mask, 1.0) == 1.0


def test_fluorescence_is_dark() -> None:
    image = np.full((300, 300, 3), 20, np.uint8)
    assert build_thumbnail(image, np.zeros((300, 300), np.bool_), 8.0).is_dark


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("block_px", [100, 512])
def test_blocks_and_threads_change_nothing(threads: int, block_px: int) -> None:
    slide = SyntheticSlide([(3000, 2000)], 4.0)
    plane = lay_thumbnail(slide, UnreadRegions())
    assert max(plane.width_px, plane.height_px) > 2 * 512
    again = read_thumbnail(plane, threads, block_px=block_px)
    assert np.array_equal(again, make_thumbnail(slide).rgb)


def test_shrink_repeats_the_edge() -> None:
    image = np.arange(25, dtype=np.uint8).reshape(5, 5)
    assert shrink(image, 1) is image
    small = shrink(image, 2)
    assert small.shape == (3, 3)
    assert small[0, 0] == 3
    assert small[2, 2] == 24


class HungSlide(SyntheticSlide):
    """As `SyntheticSlide`, but on a drive that never answers."""

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        threading.Event().wait()
        return super()._read(level, x, y, width, height)


def test_a_drive_that_hangs_ends_the_thumbnail(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glandseg.core.workers._CLOSE_S", 0.0)
    with pytest.raises(StalledError, match="reading the slide has not answered"):
        make_thumbnail(HungSlide([(1500, 1000)], 8.0), threads=2, stall_s=0.1)


def test_the_thumbnail_tells_how_far_it_is() -> None:
    told: list[tuple[int, int]] = []
    make_thumbnail(
        SyntheticSlide([(1500, 1000)], 8.0), advance=lambda done, total: told.append((done, total))
    )
    assert told == [(done, 6) for done in range(1, 7)]


@pytest.mark.parametrize(("one_color", "told"), [(True, True), (False, False)])
def test_a_slide_of_one_color_is_told(one_color: bool, told: bool) -> None:
    pixels = np.full((60, 80, 3), 255, np.uint8)
    if not one_color:
        pixels[10:20, 10:20] = EOSIN
    thumbnail = build_thumbnail(pixels, np.zeros((60, 80), np.bool_), 8.0)
    warnings = list_early_warnings(SyntheticSlide([(80, 60)], 8.0), 8.0, thumbnail.tissue, thumbnail, None)
    assert any("of one color, RGB (255, 255, 255)" in warning for warning in warnings) == told


def test_long_thumbnails_are_announced() -> None:
    assert describe_reading(SyntheticSlide([(100_000, 80_000), (12_500, 10_000)], 0.25)) == ""
    assert "8.0 gigapixels to read" in describe_reading(SyntheticSlide([(100_000, 80_000)], 0.25))


def test_slow_thumbnails_are_told_every_quarter_minute() -> None:
    said: list[str] = []
    times = iter([0.0, 5.0, 16.0, 16.0, 20.0, 40.0])
    advance = report_thumbnail(said.append, lambda: next(times))
    for done in (1, 2, 3):
        advance(done, 4)
    advance(4, 4)  # the end needs no line
    assert said == ["thumbnail: 50% of the slide read"]
