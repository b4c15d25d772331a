from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.slides.mpp import Resolution
from glandseg.slides.slide import Slide, build_levels
from glandseg.slides.slide_plane import SlidePlane, choose_level, choose_tile_px

UM_PER_L0 = 0.5
Pixels = NDArray[np.uint8]


class MemorySlide(Slide):
    """Levels held as arrays, which counts the px it hands out."""

    def __init__(self, *images: Pixels) -> None:
        self.path = Path("memory")
        self.format = "memory"
        self.images = images
        self.levels = build_levels([(image.shape[1], image.shape[0]) for image in images])
        self.resolution = Resolution(UM_PER_L0, "test")
        self.px_read = 0

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Pixels:
        self.px_read += width * height
        return np.array(self.images[level][y : y + height, x : x + width], np.uint8)

    def close(self) -> None:
        pass


def draw_noise(width: int, height: int) -> Pixels:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def lay_plane(*images: Pixels, factor: float = 1.0) -> SlidePlane:
    return SlidePlane(MemorySlide(*images), UM_PER_L0 * factor)


@pytest.mark.parametrize("factor", [0.7, 1.0, 1.37, 2.0, 2.8, 5.6])
def test_positions_are_sub_pixel_exact(factor: float) -> None:
    # A triangle wave of 1 gray level per level-0 px: its value tells the position.
    size = 3000
    wave = np.abs((np.arange(size) % 400) - 200).astype(np.uint8)
    across = np.ascontiguousarray(np.broadcast_to(wave[None, :, None], (40, size, 3)))
    for image, axis in ((across, 1), (across.transpose(1, 0, 2).copy(), 0)):
        plane = lay_plane(image, factor=factor)
        row = plane.read(0, 0, plane.width_px, plane.height_px).mean(axis=1 - axis)[:, 0]
        centre_l0 = (np.arange(len(row)) + 0.5) * factor - 0.5
        expected = np.abs((centre_l0 % 400) - 200)
        straight = (np.abs(expected - 100) < 90) & (centre_l0 < size - 10)
        error, falls = row - expected, centre_l0 % 400 < 200
        shift_l0 = (error[straight & ~falls].mean() - error[straight & falls].mean()) / 2
        assert np.abs(error[straight]).max() <= 1.2  # two roundings, and 0.04 px where a px cuts a block
        assert abs(shift_l0) < 0.02


@pytest.mark.parametrize("factor", [0.7, 1.0, 2.8])
def test_bytes_do_not_depend_on_how_reads_are_cut(factor: float) -> None:
    plane = lay_plane(draw_noise(1500, 1300), factor=factor)
    whole = plane.read(-30, -20, 600, 580)
    for side in (97, 256):
        fresh = lay_plane(draw_noise(1500, 1300), factor=factor)
        for y in range(0, 580, side):
            for x in range(0, 600, side):
                height, width = min(side, 580 - y), min(side, 600 - x)
                part = fresh.read(x - 30, y - 20, width, height)
                assert np.array_equal(part, whole[y : y + height, x : x + width])


def test_reflects_beyond_edges_as_often_as_needed() -> None:
    image = draw_noise(7, 5)
    padded = np.pad(image, ((23, 31), (29, 17), (0, 0)), mode="reflect")
    assert np.array_equal(lay_plane(image).read(-29, -23, 7 + 46, 5 + 54), padded)


def test_far_outside_equals_its_reflection() -> None:
    image = draw_noise(10, 10)
    assert np.array_equal(lay_plane(image).read(18, 0, 3, 3), image[:3, :3])


@pytest.mark.parametrize("factor", [0.3, 1.0, 4.7])
def test_slide_of_one_px(factor: float) -> None:
    image = np.full((1, 1, 3), 77, np.uint8)
    assert (lay_plane(image, factor=factor).read(-3, -3, 9, 9) == 77).all()


def test_last_px_may_hang_over_the_edge() -> None:
    plane = lay_plane(np.full((5, 5, 3), 200, np.uint8), factor=2.0)
    assert (plane.width_px, plane.height_px) == (3, 3)
    assert (plane.read(0, 0, 3, 3) == 200).all()


def test_coarsest_sufficient_level_is_read() -> None:
    sizes = [(4096, 4096), (2048, 2048), (1024, 1024)]
    slide = MemorySlide(*(np.zeros((h, w, 3), np.uint8) for w, h in sizes))
    assert [choose_level(slide, f) for f in (0.5, 1, 1.9, 1.99, 2, 3.9, 4, 99)] == [0, 0, 0, 1, 1, 1, 2, 2]
    SlidePlane(slide, UM_PER_L0 * 4).read(0, 0, 1024, 1024)
    assert slide.px_read < 1.1 * 1024 * 1024


def test_levels_agree_on_position() -> None:
    ramp = np.ascontiguousarray(np.broadcast_to(np.linspace(20, 220, 801)[None, :, None], (60, 801, 3)))
    full = np.rint(ramp).astype(np.uint8)
    half = np.rint(ramp[:, :800].reshape(60, 400, 2, 3).mean(axis=2))[::2].astype(np.uint8)
    one, two = lay_plane(full, factor=2.6), lay_plane(full, half, factor=2.6)
    assert (one.width_px, one.height_px) == (two.width_px, two.height_px)
    inside = (5, 5, one.width_px - 10, one.height_px - 10)
    difference = one.read(*inside).astype(float) - two.read(*inside)
    assert np.abs(difference).max() <= 1
    assert abs(difference.mean()) < 0.1


def test_tiles_shrink_with_the_factor_to_bound_memory() -> None:
    assert [choose_tile_px(f) for f in (0.5, 1.0, 8.0, 9.0, 64.0, 1e9)] == [512, 512, 256, 128, 32, 1]


def test_cache_is_bounded_and_does_not_change_values() -> None:
    image = draw_noise(1300, 1100)
    slide = MemorySlide(image)
    plane = SlidePlane(slide, UM_PER_L0, cache_bytes=1)
    assert np.array_equal(plane.read(0, 0, 1300, 1100), image)
    before = slide.px_read
    plane.read(0, 0, 1300, 1100)
    assert slide.px_read > 1.5 * before
    roomy_slide = MemorySlide(image)
    roomy = SlidePlane(roomy_slide, UM_PER_L0)
    roomy.read(0, 0, 1300, 1100)[:] = 0  # the caller owns what it gets
    before = roomy_slide.px_read
    assert np.array_equal(roomy.read(0, 0, 1300, 1100), image)
    assert roomy_slide.px_read == before


def test_bad_requests() -> None:
    slide = MemorySlide(draw_noise(8, 8))
    for um_per_px in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="um_per_px"):
            SlidePlane(slide, um_per_px)
    with pytest.raises(ValueError, match="at least 1"):
        SlidePlane(slide, 0.5).read(0, 0, 0, 4)
    slide.resolution = None
    with pytest.raises(BadInputError, match="--mpp"):
        SlidePlane(slide, 0.5)
