"""Outlines are unbiased, keep their lumina, and agree with the mask."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.glands.tracer import GlandTracer
from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap

Grey = NDArray[np.uint8]
Trace = Callable[..., Glands]
LayMap = Callable[[NDArray[Any]], TileMap]
Draw = Callable[[Iterable[Gland], tuple[int, int]], NDArray[np.bool_]]


@pytest.fixture
def draw(lay_map: LayMap) -> Draw:
    """Return a function that draws glands as (H, W) bool."""

    def run(glands: Iterable[Gland], shape_hw: tuple[int, int]) -> NDArray[np.bool_]:
        mask = lay_map(np.zeros(shape_hw, np.uint8))
        for gland in glands:
            draw_polygon(gland.polygon_px, mask)
        return mask.read(0, 0, *shape_hw) > 0

    return run


def list_contents(glands: Iterable[Gland]) -> list[tuple[Any, ...]]:
    return [
        (gland.number, gland.polygon_px.wkb, gland.mean_probability, gland.lumen_fraction) for gland in glands
    ]


def paint(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Grey:
    image = np.zeros(shape, np.uint8)
    for top, left, bottom, right, value in boxes:
        image[top:bottom, left:right] = value
    return image


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
def test_disk_keeps_its_area(hard: bool, trace: Trace) -> None:
    disk = shade_disk(40.3)
    (gland,) = trace(to_grey(np.round(disk) if hard else disk))
    assert gland.polygon_px.area == pytest.approx(math.pi * 40.3**2, rel=0.005)
    assert gland.polygon_px.centroid.x == pytest.approx(60.8, abs=0.05)
    assert gland.polygon_px.centroid.y == pytest.approx(60.3, abs=0.05)


def test_ring_keeps_its_hole_and_area(trace: Trace) -> None:
    (gland,) = trace(to_grey(shade_disk(40) - shade_disk(15)), min_lumen_um2=600)
    assert len(gland.polygon_px.interiors) == 1
    assert gland.polygon_px.area == pytest.approx(math.pi * (40**2 - 15**2), rel=0.01)
    assert gland.lumen_fraction == pytest.approx(15**2 / 40**2, rel=0.01)


def test_small_hole_is_filled_in_outline_and_mask(trace: Trace, draw: Draw) -> None:
    ring = to_grey(shade_disk(40) - shade_disk(15))
    (gland,) = trace(ring, min_lumen_um2=800)
    assert not gland.polygon_px.interiors
    assert draw([gland], ring.shape)[60, 60]
    assert gland.lumen_fraction == 0


def test_unstained_pixels_count_as_lumen(trace: Trace) -> None:
    unstained = paint((40, 40), (10, 10, 20, 20, 1))
    (gland,) = trace(paint((40, 40), (10, 10, 30, 20, 255)), unstained=unstained)
    assert gland.lumen_fraction == pytest.approx(0.5)


def test_mean_probability_is_over_the_glands_pixels(trace: Trace) -> None:
    (gland,) = trace(paint((40, 40), (10, 10, 30, 20, 204), (10, 20, 30, 30, 153)))
    assert gland.mean_probability == pytest.approx(0.7)


def test_objects_that_touch_by_a_corner_stay_two(trace: Trace) -> None:
    one, other = trace(paint((20, 20), (2, 2, 8, 8, 255), (8, 8, 14, 14, 255)))
    assert one.polygon_px.intersection(other.polygon_px).area == 0
    assert one.polygon_px.area == pytest.approx(35.5)


@pytest.mark.parametrize(("value", "cut"), [(255, 0.5), (130, 0.5), (255, 0.8)])
def test_object_at_the_edge_is_closed_along_it(value: int, cut: float, trace: Trace) -> None:
    (gland,) = trace(paint((20, 30), (0, 0, 20, 30, value)), threshold=cut)
    assert gland.polygon_px.bounds == (0, 0, 30, 20)
    assert gland.polygon_px.area == pytest.approx(600, rel=0.001)


def test_single_pixel_is_an_outline_and_a_pixel(trace: Trace, draw: Draw) -> None:
    (gland,) = trace(paint((5, 5), (2, 2, 3, 3, 255)))
    assert gland.polygon_px.area == pytest.approx(0.5)
    assert draw([gland], (5, 5)).sum() == 1


def test_minimum_area_is_in_square_micrometres(trace: Trace) -> None:
    square = paint((20, 20), (5, 5, 15, 15, 255))
    assert len(trace(square, um_per_px=2.0, min_gland_um2=398)) == 1
    assert len(trace(square, um_per_px=2.0, min_gland_um2=399)) == 0


def test_gland_in_a_kept_lumen_is_its_own_and_in_a_filled_one_is_not(trace: Trace, draw: Draw) -> None:
    nested = paint((60, 60), (5, 5, 55, 55, 255), (15, 15, 45, 45, 0), (25, 25, 35, 35, 255))
    assert len(trace(nested, min_lumen_um2=800)) == 2
    (gland,) = trace(nested, min_lumen_um2=1000)
    assert draw([gland], nested.shape).sum() == 2500


def test_threshold_moves_the_outline(trace: Trace) -> None:
    slope = np.tile(np.arange(0, 250, 2, dtype=np.uint8), (20, 1))
    (gland,) = trace(slope, threshold=0.2)
    assert gland.polygon_px.bounds[0] == pytest.approx(50.5 / 2 + 0.5)


def test_order_is_reading_order_and_numbers_start_at_one(trace: Trace) -> None:
    glands = trace(paint((30, 30), (9, 20, 14, 25, 255), (9, 2, 14, 7, 255), (2, 10, 5, 13, 255)))
    assert [gland.number for gland in glands] == [1, 2, 3]
    assert [round(gland.polygon_px.centroid.x) for gland in glands] == [12, 4, 22]


def test_empty_maps_hold_no_gland(trace: Trace, draw: Draw) -> None:
    glands = trace(np.zeros((20, 30), np.uint8))
    assert list(glands) == []
    assert glands.area_px2 == 0
    assert not draw([], (20, 30)).any()


@pytest.mark.parametrize("seed", [0, 1])
def test_mask_is_exactly_the_pixels_above_the_threshold(seed: int, trace: Trace, draw: Draw) -> None:
    clouds = make_clouds(200, seed)
    clouds[clouds == 128] = 140  # no speck too faint to keep
    glands = trace(clouds)
    kept = draw(glands, clouds.shape)
    lost = (clouds >= 128) & ~kept
    assert not (kept & (clouds < 128)).any()
    assert lost.sum() <= 5
    assert all(gland.polygon_px.is_valid for gland in glands)


def test_mask_and_outlines_agree_after_the_area_rules(trace: Trace, draw: Draw) -> None:
    clouds = make_clouds(300)
    glands = trace(clouds, min_gland_um2=150, min_lumen_um2=60)
    mask = draw(glands, clouds.shape)
    count, _ = cv2.connectedComponents(mask.view(np.uint8), connectivity=4)
    assert count - 1 == len(glands) > 5
    assert sum(gland.polygon_px.area for gland in glands) == pytest.approx(mask.sum(), rel=0.02)


@pytest.mark.parametrize("rows", [(), (1, 2, 3, 90), (149,), range(150), (70, 70, 12, 71, 150, 150)])
def test_calls_of_advance_change_nothing(trace: Trace, rows: Any) -> None:
    clouds = make_clouds(150)
    whole = list_contents(trace(clouds, min_lumen_um2=20))
    assert list_contents(trace(clouds, min_lumen_um2=20, rows=rows, band_px=157 * 7)) == whole


@pytest.mark.parametrize(("band", "strip"), [(1, 1), (500, 300), (157 * 40, 1), (157 * 64, 157 * 70)])
def test_band_and_strip_sizes_change_nothing(trace: Trace, band: int, strip: int) -> None:
    clouds = make_clouds(150)
    whole = list_contents(trace(clouds, min_lumen_um2=20))
    assert list_contents(trace(clouds, min_lumen_um2=20, band_px=band, strip_px=strip)) == whole
    assert len(whole) > 20


def test_gland_larger_than_every_band_and_strip_keeps_its_shape(trace: Trace, draw: Draw) -> None:
    comb = paint((300, 400), (2, 2, 40, 398, 255), *((40, x, 299, x + 9, 200) for x in range(2, 380, 11)))
    comb[299, 5] = 255  # on the map's edge
    (gland,) = trace(comb, rows=range(0, 300, 10), band_px=400 * 16, strip_px=400)
    assert gland.polygon_px.is_valid
    assert np.array_equal(draw([gland], comb.shape), comb > 0)
    assert gland.mean_probability == pytest.approx(comb[comb > 0].mean() / 255, abs=1e-12)


def test_arms_that_meet_below_are_one_and_touch_by_a_corner_above(
    trace: Trace,
) -> None:
    arms = paint(
        (40, 40), (4, 4, 12, 12, 255), (12, 12, 36, 20, 255), (11, 2, 36, 5, 255), (30, 2, 36, 20, 255)
    )
    whole = list_contents(trace(arms))
    assert list_contents(trace(arms, band_px=40, strip_px=40)) == whole
    assert len(whole) == 1


def test_gland_is_on_disk_once_the_rows_below_it_are_known(
    tmp_path: Path, lay_map: LayMap, monkeypatch: pytest.MonkeyPatch
) -> None:
    maps = (
        lay_map(paint((100, 100), (5, 5, 25, 30, 255), (50, 5, 98, 30, 255))),
        lay_map(np.zeros((100, 100))),
    )
    stored = []
    monkeypatch.setattr(
        "glandseg.runtime.glands.store.GlandStore.add",
        lambda store, corner, *rest: stored.append(corner),
    )
    with GlandTracer(
        *maps, tmp_path, um_per_px=1.0, min_gland_um2=0, min_lumen_um2=0, band_px=100 * 10
    ) as tracer:
        tracer.advance(29)
        assert stored == []
        tracer.advance(30)
        assert stored == [(5, 5)]
        tracer.advance(99)
        assert stored == [(5, 5)]
        tracer.advance(100)
        assert stored == [(5, 5), (50, 5)]


def test_rows_that_are_not_final_are_not_read(tmp_path: Path, lay_map: LayMap) -> None:
    clouds = make_clouds(200)
    unstained = lay_map(clouds < 0)
    late = lay_map(np.full(clouds.shape, 255, np.uint8))
    with GlandTracer(late, unstained, tmp_path, um_per_px=1.0, min_gland_um2=0, min_lumen_um2=0) as tracer:
        for top in range(0, 200, 20):
            late.write(top, 0, clouds[top : top + 20])
            tracer.advance(top + 20)
        streamed = list_contents(tracer.finish())
    other = tmp_path / "other"
    other.mkdir()
    with GlandTracer(late, unstained, other, um_per_px=1.0, min_gland_um2=0, min_lumen_um2=0) as tracer:
        assert list_contents(tracer.finish()) == streamed


def test_glands_in_filled_holes_of_glands_in_filled_holes_are_gone(trace: Trace) -> None:
    rings = paint(
        (100, 100),
        *((5 * i, 5 * i, 100 - 5 * i, 100 - 5 * i, 0 if i % 2 else 255) for i in range(9)),
        (2, 97, 3, 98, 255),
    )
    (gland,) = trace(rings, min_lumen_um2=9000, min_gland_um2=5)
    assert gland.polygon_px.area == pytest.approx(10_000, rel=0.01)


def test_glands_can_be_read_repeatedly_and_know_their_area(trace: Trace) -> None:
    glands = trace(make_clouds(150))
    for _ in range(2):
        assert [gland.number for gland in glands] == list(range(1, len(glands) + 1))
    assert glands.area_px2 == pytest.approx(sum(gland.polygon_px.area for gland in glands))


MEASURE = """
import resource, sys
import numpy as np
from pathlib import Path
from glandseg.runtime.glands.tracer import GlandTracer
from glandseg.runtime.outputs.mask_tiff import write_mask
from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap

folder, side = Path(sys.argv[1]), int(sys.argv[2])
with TileMap(folder / "p", side, side) as grey, TileMap(folder / "u", side, side) as clear:
    gland = np.full((90, 90), 255, np.uint8)
    gland[30:60, 30:60] = 0
    for top in range(100, 2900, 400):
        for left in range(100, side - 200, 700):
            grey.write(top, left, gland)
    for top in range(3000, side - 100, 800):
        grey.write(top, 20, np.full((100, side - 40), 255, np.uint8))
        left = 20 if (top - 3000) % 1600 else side - 120
        grey.write(top, left, np.full((min(820, side - top), 100), 255, np.uint8))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with GlandTracer(grey, clear, folder, um_per_px=1.0, min_gland_um2=0, min_lumen_um2=0) as tracer:
        for rows in range(0, side, 256):
            tracer.advance(rows)
        glands = tracer.finish()
        with TileMap(folder / "m", side, side) as mask:
            for gland in glands:
                draw_polygon(gland.polygon_px, mask)
            write_mask(folder / "m.ome.tif", mask, 1.0)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(len(glands), max(gland.polygon_px.area for gland in glands) / side**2)
print((after - before) // (1024 if sys.platform == "darwin" else 1))
"""


def test_memory_follows_neither_the_map_nor_the_largest_gland(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="needs getrusage")
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(tmp_path), "8000"], stdout=subprocess.PIPE, text=True, check=True
    )
    found, kibibytes = done.stdout.splitlines()
    count, share = found.split()
    assert int(count) == 78
    assert float(share) > 0.08
    assert int(kibibytes) * 1024 < 2.5 * 8000**2


@pytest.mark.parametrize("threshold", [0, -1, 1.01, math.nan])
def test_threshold_out_of_range_is_refused(threshold: float, trace: Trace) -> None:
    with pytest.raises(BadInputError, match="threshold"):
        trace(np.zeros((5, 5), np.uint8), threshold=threshold)


@pytest.mark.parametrize("um_per_px", [0, -1, math.nan, math.inf])
def test_pixel_size_out_of_range_is_refused(um_per_px: float, trace: Trace) -> None:
    with pytest.raises(BadInputError, match="um_per_px"):
        trace(np.zeros((5, 5), np.uint8), um_per_px=um_per_px)


def test_maps_that_do_not_match_are_refused(trace: Trace) -> None:
    with pytest.raises(ValueError, match="unstained"):
        trace(np.zeros((5, 5), np.uint8), unstained=np.zeros((4, 5), bool))
