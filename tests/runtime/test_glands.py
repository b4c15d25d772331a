"""Outlines are unbiased, keep their lumina, and agree with the mask."""

from __future__ import annotations

import math
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime import glands as module
from glandseg.runtime import regions
from glandseg.runtime.errors import BadInputError
from glandseg.runtime.glands import Gland, draw_mask, trace_glands

Grey = NDArray[np.uint8]


def trace(probability: Grey, **options: Any) -> list[Gland]:
    settings = {"um_per_px": 1.0, "min_gland_um2": 0.0, "min_lumen_um2": 0.0, **options}
    unstained = settings.pop("unstained", np.zeros(probability.shape, bool))
    return trace_glands(probability, unstained, **settings)


def paint(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Grey:
    picture = np.zeros(shape, np.uint8)
    for top, left, bottom, right, value in boxes:
        picture[top:bottom, left:right] = value
    return picture


def shade_disk(radius: float, size: int = 121) -> NDArray[np.float64]:
    """p(gland) of a disk whose edge is one pixel soft, centred off the grid."""
    y, x = np.mgrid[:size, :size] + 0.5
    distance = np.hypot(x - size / 2 - 0.3, y - size / 2 + 0.2)
    return np.asarray(np.clip(radius - distance + 0.5, 0, 1))


def to_grey(probability: NDArray[np.float64]) -> Grey:
    return np.round(probability * 255).astype(np.uint8)


def make_clouds(size: int, seed: int = 0) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 256, (size, size + 7)).astype(np.uint8)
    heights = np.asarray(cv2.GaussianBlur(noise.astype(np.float32), (0, 0), 3), np.float64)
    return np.round(np.clip(heights * 6 - 637.5, 0, 255)).astype(np.uint8)


@pytest.mark.parametrize("hard", [False, True])
def test_disk_keeps_its_area(hard: bool) -> None:
    disk = shade_disk(40.3)
    (gland,) = trace(to_grey(np.round(disk) if hard else disk))
    assert gland.polygon_px.area == pytest.approx(math.pi * 40.3**2, rel=0.005)
    assert gland.polygon_px.centroid.x == pytest.approx(60.8, abs=0.05)
    assert gland.polygon_px.centroid.y == pytest.approx(60.3, abs=0.05)


def test_ring_keeps_its_hole_and_area() -> None:
    (gland,) = trace(to_grey(shade_disk(40) - shade_disk(15)), min_lumen_um2=600)
    assert len(gland.polygon_px.interiors) == 1
    assert gland.polygon_px.area == pytest.approx(math.pi * (40**2 - 15**2), rel=0.01)
    assert gland.lumen_fraction == pytest.approx(15**2 / 40**2, rel=0.01)


def test_small_hole_is_filled_in_outline_and_mask() -> None:
    ring = to_grey(shade_disk(40) - shade_disk(15))
    (gland,) = trace(ring, min_lumen_um2=800)
    assert not gland.polygon_px.interiors
    assert draw_mask([gland], ring.shape)[60, 60]
    assert gland.lumen_fraction == 0


def test_unstained_pixels_count_as_lumen() -> None:
    unstained = paint((40, 40), (10, 10, 20, 20, 1))
    (gland,) = trace(paint((40, 40), (10, 10, 30, 20, 255)), unstained=unstained)
    assert gland.lumen_fraction == pytest.approx(0.5)


def test_mean_probability_is_over_the_glands_pixels() -> None:
    (gland,) = trace(paint((40, 40), (10, 10, 30, 20, 204), (10, 20, 30, 30, 153)))
    assert gland.mean_probability == pytest.approx(0.7)


def test_objects_that_touch_by_a_corner_stay_two() -> None:
    one, other = trace(paint((20, 20), (2, 2, 8, 8, 255), (8, 8, 14, 14, 255)))
    assert one.polygon_px.intersection(other.polygon_px).area == 0
    assert one.polygon_px.area == pytest.approx(35.5)


@pytest.mark.parametrize(("value", "cut"), [(255, 0.5), (130, 0.5), (255, 0.8)])
def test_object_at_the_edge_is_closed_along_it(value: int, cut: float) -> None:
    (gland,) = trace(paint((20, 30), (0, 0, 20, 30, value)), threshold=cut)
    assert gland.polygon_px.bounds == (0, 0, 30, 20)
    assert gland.polygon_px.area == pytest.approx(600, rel=0.001)


def test_single_pixel_is_an_outline_and_a_pixel() -> None:
    (gland,) = trace(paint((5, 5), (2, 2, 3, 3, 255)))
    assert gland.polygon_px.area == pytest.approx(0.5)
    assert draw_mask([gland], (5, 5)).sum() == 1


def test_minimum_area_is_in_square_micrometres() -> None:
    square = paint((20, 20), (5, 5, 15, 15, 255))
    assert len(trace(square, um_per_px=2.0, min_gland_um2=398)) == 1
    assert len(trace(square, um_per_px=2.0, min_gland_um2=399)) == 0


def test_gland_in_a_kept_lumen_is_its_own_and_in_a_filled_one_is_not() -> None:
    nested = paint((60, 60), (5, 5, 55, 55, 255), (15, 15, 45, 45, 0), (25, 25, 35, 35, 255))
    assert len(trace(nested, min_lumen_um2=800)) == 2
    (gland,) = trace(nested, min_lumen_um2=1000)
    assert draw_mask([gland], nested.shape).sum() == 2500


def test_threshold_moves_the_outline() -> None:
    slope = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (20, 1))
    (gland,) = trace(slope, threshold=0.2)
    assert gland.polygon_px.bounds[0] == pytest.approx(50.5 / 2 + 0.5)


def test_order_is_reading_order_and_numbers_start_at_one() -> None:
    glands = trace(paint((30, 30), (9, 20, 14, 25, 255), (9, 2, 14, 7, 255), (2, 10, 5, 13, 255)))
    assert [gland.number for gland in glands] == [1, 2, 3]
    assert [round(gland.polygon_px.centroid.x) for gland in glands] == [12, 4, 22]


def test_empty_maps_hold_no_gland() -> None:
    assert trace(np.zeros((20, 30), np.uint8)) == []
    assert trace(np.zeros((0, 30), np.uint8)) == []
    assert not draw_mask([], (20, 30)).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_mask_is_exactly_the_pixels_above_the_threshold(seed: int) -> None:
    clouds = make_clouds(200, seed)
    clouds[clouds == 128] = 140  # no speck too faint to keep
    glands = trace(clouds)
    kept = draw_mask(glands, clouds.shape)
    lost = (clouds >= 128) & ~kept
    assert not (kept & (clouds < 128)).any()
    assert lost.sum() <= 5
    assert all(gland.polygon_px.is_valid for gland in glands)


def test_mask_and_outlines_agree_after_the_area_rules() -> None:
    clouds = make_clouds(300)
    glands = trace(clouds, min_gland_um2=150, min_lumen_um2=60)
    mask = draw_mask(glands, clouds.shape)
    count, _ = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    assert count - 1 == len(glands) > 5
    assert sum(gland.polygon_px.area for gland in glands) == pytest.approx(mask.sum(), rel=0.02)


def test_band_and_strip_sizes_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    clouds = make_clouds(150)
    whole = trace(clouds, min_lumen_um2=20)
    monkeypatch.setattr(regions, "BAND_PX", 500)
    monkeypatch.setattr(module, "STRIP_PX", 300)
    parts = trace(clouds, min_lumen_um2=20)
    assert parts == whole
    assert [gland.polygon_px.wkb for gland in parts] == [gland.polygon_px.wkb for gland in whole]


def test_mask_can_be_drawn_into_a_memory_map(tmp_path: Path) -> None:
    square = paint((20, 20), (5, 5, 15, 15, 255))
    out = np.memmap(tmp_path / "mask", np.bool_, "w+", shape=(20, 20))
    assert draw_mask(trace(square), (20, 20), out) is out
    assert np.array_equal(out, square > 0)


def test_memory_does_not_follow_a_sparse_map(tmp_path: Path) -> None:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        pytest.skip("needs /proc")
    sparse = np.memmap(tmp_path / "map", np.uint8, "w+", shape=(6000, 6000))
    for corner in range(100, 5900, 500):
        sparse[corner : corner + 80, corner : corner + 80] = 255
    usage: list[int] = []
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            _, resident, shared, *_ = statm.read_text().split()  # the map itself counts as shared
            usage.append((int(resident) - int(shared)) * 4096)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    glands = trace(sparse, unstained=np.broadcast_to(np.False_, sparse.shape))
    done.set()
    watcher.join()
    assert len(glands) == 12
    assert max(usage) - usage[0] < 3.5 * sparse.size


@pytest.mark.parametrize("threshold", [0, -1, 1.01, math.nan])
def test_threshold_out_of_range_is_refused(threshold: float) -> None:
    with pytest.raises(BadInputError, match="threshold"):
        trace(np.zeros((5, 5), np.uint8), threshold=threshold)


@pytest.mark.parametrize("um_per_px", [0, -1, math.nan, math.inf])
def test_pixel_size_out_of_range_is_refused(um_per_px: float) -> None:
    with pytest.raises(BadInputError, match="um_per_px"):
        trace(np.zeros((5, 5), np.uint8), um_per_px=um_per_px)


def test_arrays_that_do_not_match_are_refused() -> None:
    with pytest.raises(ValueError, match="unstained"):
        trace(np.zeros((5, 5), np.uint8), unstained=np.zeros((4, 5), bool))
    with pytest.raises(ValueError, match="uint8"):
        trace(np.zeros((5, 5), np.float32))
