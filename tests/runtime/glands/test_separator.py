"""Glands are separated in bands as they are in memory, whatever the bands."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.separation import Separation
from glandseg.runtime.glands.separation import separate
from glandseg.runtime.glands.separator import Separator
from glandseg.runtime.maps.tile_map import TileMap

Grey = NDArray[np.uint8]
LayMap = Callable[[NDArray[Any]], TileMap]
Run = Callable[..., Grey]
CUT, SEED_CUT = 128, 204
RULE = Separation(channel="gland", threshold=0.8, reach_um=6.0)


@pytest.fixture
def run(lay_map: LayMap) -> Run:
    """Return a function that separates an array in bands; the separator advances to each of `rows`."""

    def separate_bands(
        gland: Grey, core: Grey | None = None, *, rows: Sequence[int] = (), reach_px: int = 6, **options: Any
    ) -> Grey:
        laid, outline = lay_map(gland), lay_map(np.zeros(gland.shape))
        channel = laid if core is None else lay_map(core)
        separator = Separator(
            laid, channel, outline, cut=CUT, seed_cut=SEED_CUT, reach_px=reach_px, **options
        )
        for row in rows:
            assert separator.advance(row) <= row
        assert separator.advance(len(gland)) == len(gland)
        return outline.read(0, 0, *gland.shape)

    return separate_bands


def make_clouds(seed: int, shape: tuple[int, int] = (150, 110)) -> Grey:
    noise = np.random.default_rng(seed).integers(0, 256, shape).astype(np.float32)
    blurred = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.float32)
    return np.clip(blurred * 8 - 890, 0, 255).astype(np.uint8)


def paint(shape: tuple[int, int], *boxes: tuple[int, int, int, int, int]) -> Grey:
    image = np.zeros(shape, np.uint8)
    for top, left, bottom, right, value in boxes:
        image[top:bottom, left:right] = value
    return image


@pytest.mark.parametrize("band_rows", [1, 7, 64, 200])
@pytest.mark.parametrize("rows", [(), range(150), (20, 21, 99)])
@pytest.mark.parametrize("channel", ["gland", "core"])
def test_bands_change_no_byte(band_rows: int, rows: Sequence[int], channel: str, run: Run) -> None:
    gland = make_clouds(1)
    core = None if channel == "gland" else make_clouds(2)
    rule = Separation(channel=channel, threshold=0.8, reach_um=6.0)
    expected = separate(gland, gland if core is None else core, CUT, rule, 1.0)
    assert ((expected == 0) & (gland >= CUT)).sum() > 100
    found = run(gland, core, rows=rows, band_px=band_rows * 110)
    assert np.array_equal(np.where(found >= CUT, found, 0), np.where(expected >= CUT, expected, 0))
    assert np.array_equal(found, expected)


def test_a_reach_of_many_bands_changes_no_byte(run: Run) -> None:
    gland = make_clouds(3)
    expected = separate(gland, gland, CUT, Separation(channel="gland", threshold=0.8, reach_um=40), 1.0)
    assert np.array_equal(run(gland, reach_px=40, band_px=110 * 3), expected)


SHAPES = {
    "ring": [(10, 10, 190, 190, 255), (40, 40, 160, 160, 0)],
    "u": [(10, 10, 190, 190, 255), (0, 40, 160, 160, 0)],
    "comb": [(150, 4, 190, 190, 255), *((2, x, 170, x + 9, 255) for x in range(4, 184, 14))],
    "column": [(0, 90, 200, 110, 255)],
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("band_rows", [1, 16])
def test_a_gland_whose_seed_spans_many_bands_has_no_seam(shape: str, band_rows: int, run: Run) -> None:
    gland = paint((200, 200), *SHAPES[shape])
    fringed = np.maximum(gland, cv2.dilate(gland, np.ones((7, 7), np.uint8)) // 255 * 150).astype(np.uint8)
    assert np.array_equal(run(fringed, rows=range(0, 200, 5), band_px=200 * band_rows), fringed)


def test_rows_are_written_once_the_seeds_that_reach_them_are_complete(lay_map: LayMap) -> None:
    gland = paint((100, 20), (0, 2, 15, 18, 255), (40, 2, 72, 18, 255))
    laid, outline = lay_map(gland), lay_map(np.zeros(gland.shape))
    separator = Separator(laid, laid, outline, cut=CUT, seed_cut=SEED_CUT, reach_px=4, band_px=20 * 10)
    finals = [separator.advance(rows) for rows in (9, 10, 20, 30, 40, 50, 60, 70, 79, 80, 90, 100)]
    assert finals == [0, 0, 10, 20, 30, 30, 30, 30, 30, 70, 80, 100]


def test_rows_that_are_not_final_are_not_read(lay_map: LayMap) -> None:
    gland = make_clouds(4)
    late, outline = lay_map(np.full(gland.shape, 255)), lay_map(np.zeros(gland.shape))
    separator = Separator(late, late, outline, cut=CUT, seed_cut=SEED_CUT, reach_px=6, band_px=110 * 8)
    for top in range(0, 150, 10):
        late.write(top, 0, gland[top : top + 10])
        separator.advance(top + 10)
    assert np.array_equal(outline.read(0, 0, *gland.shape), separate(gland, gland, CUT, RULE, 1.0))


def test_an_empty_map_stays_empty(run: Run) -> None:
    assert not run(np.zeros((30, 20), np.uint8), band_px=100).any()


MEASURE = """
import resource, sys
import numpy as np
from pathlib import Path
from glandseg.runtime.glands.separator import Separator
from glandseg.runtime.maps.tile_map import TileMap

folder, side = Path(sys.argv[1]), int(sys.argv[2])
with TileMap(folder / "g", side, side) as gland, TileMap(folder / "o", side, side) as outline:
    pair = np.full((80, 120), 150, np.uint8)
    pair[10:70, 10:50] = pair[10:70, 70:110] = 255
    for top in range(0, side - 80, 100):
        for left in range(500, side - 120, 150):
            gland.write(top, left, pair)
    gland.write(0, 100, np.full((side, 300), 255, np.uint8))  # a seed as high as the map
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    separator = Separator(gland, gland, outline, cut=128, seed_cut=204, reach_px=38)
    finals = {separator.advance(min(rows, side)) for rows in range(0, side + 256, 256)}
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    gaps = sum(
        ((gland.read(y, 0, y + 100, side) > 0) & (outline.read(y, 0, y + 100, side) == 0)).sum()
        for y in range(0, side, 100)
    )
print(sorted(finals), gaps, (after - before) // (1024 if sys.platform == "darwin" else 1))
"""


def test_memory_follows_neither_the_map_nor_the_longest_seed(tmp_path: Path) -> None:
    pytest.importorskip("resource", reason="needs getrusage")
    command = [sys.executable, "-c", MEASURE, str(tmp_path), "8000"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    finals, gaps, kibibytes = done.stdout.rsplit(" ", 2)
    assert finals == "[0, 8000]"
    assert int(gaps) == 80 * 80 * 50  # of 50 pairs in each of 80 rows
    assert int(kibibytes) * 1024 < 8000**2
