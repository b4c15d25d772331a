"""Maps of bytes on disk."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from glandseg.runtime.maps.tile_map import TileMap


def test_rectangles_come_back_as_from_an_array(tmp_path: Path) -> None:
    rng, expected = np.random.default_rng(0), np.zeros((700, 900), np.uint8)
    with TileMap(tmp_path / "map", 700, 900) as values:
        for _ in range(40):
            height, width = rng.integers(1, 400, 2)
            top, left = rng.integers(0, 701 - height), rng.integers(0, 901 - width)
            block = rng.integers(0, 256, (height, width), np.uint8)
            values.write(top, left, block)
            expected[top : top + height, left : left + width] = block
        assert np.array_equal(values.read(0, 0, 700, 900), expected)
        assert np.array_equal(values.read(255, 511, 258, 514), expected[255:258, 511:514])


def test_what_was_never_written_is_zero_and_takes_no_space(tmp_path: Path) -> None:
    with TileMap(tmp_path / "map", 40_000, 50_000) as values:
        values.write(39_999, 49_999, np.full((1, 1), 7, np.uint8))
        assert values.read(39_998, 49_998, 40_000, 50_000).tolist() == [[0, 0], [0, 7]]
    blocks = getattr((tmp_path / "map").stat(), "st_blocks", None)
    if blocks is None:
        pytest.skip("this system does not tell what a file takes on disk")
    assert blocks * 512 < 1 << 20


def test_zeros_take_no_space_and_clear_what_was_written(tmp_path: Path) -> None:
    with TileMap(tmp_path / "map", 300, 600) as values:
        values.write(0, 0, np.zeros((300, 600), np.uint8))
        blocks = getattr((tmp_path / "map").stat(), "st_blocks", 0)
        values.write(10, 250, np.full((20, 20), 9, np.uint8))
        values.write(15, 250, np.zeros((5, 20), np.uint8))
        expected = np.zeros((300, 600), np.uint8)
        expected[10:30, 250:270], expected[15:20, 250:270] = 9, 0
        assert blocks == 0 and np.array_equal(values.read(0, 0, 300, 600), expected)


def test_threads_do_not_disturb_each_other(tmp_path: Path) -> None:
    with TileMap(tmp_path / "map", 256, 16 * 100) as values, ThreadPoolExecutor(8) as threads:

        def write(index: int) -> None:
            values.write(0, 100 * index, np.full((256, 100), index, np.uint8))

        list(threads.map(write, range(16)))
        assert np.array_equal(values.read(17, 0, 18, 1600)[0], np.repeat(np.arange(16), 100))


@pytest.mark.parametrize("rectangle", [(-1, 0, 5, 5), (0, 0, 11, 5), (0, 0, 5, 21), (3, 0, 3, 5)])
def test_a_rectangle_outside_is_refused(rectangle: tuple[int, int, int, int], tmp_path: Path) -> None:
    with (
        TileMap(tmp_path / "map", 10, 20) as values,
        pytest.raises(ValueError, match="map of 10 x 20"),
    ):
        values.read(*rectangle)


def test_an_empty_map_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TileMap(tmp_path / "map", 0, 20)
