from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.doctor.tiles import gather_tiles, list_slides, pick_evenly, read_tiles
from glandseg.synthetic import draw_tile, write_slide

DRAWN = np.zeros((2, 320, 320, 3), np.uint8)


@pytest.fixture(scope="module")
def slides(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slides")
    write_slide(folder / "b.tif", draw_tile(700, 0.5, 0, "glands")[0], 0.5)
    cv2.imwrite(str(folder / "a.png"), np.full((400, 300, 3), 90, np.uint8))
    (folder / "notes.txt").write_text("no slide", encoding="utf-8")
    (folder / "more").mkdir()
    return folder


def test_lists_slides_and_images_by_name(slides: Path) -> None:
    assert [path.name for path in list_slides(slides)] == ["a.png", "b.tif"]
    assert list_slides(slides / "b.tif") == [slides / "b.tif"]


def test_reads_the_same_windows_every_time(slides: Path) -> None:
    tiles = read_tiles([slides / "b.tif"], 0.5, most=4)
    assert tiles.shape == (4, 320, 320, 3) and tiles.dtype == np.uint8
    assert np.array_equal(tiles, read_tiles([slides / "b.tif"], 0.5, most=4))
    assert len({tile.tobytes() for tile in tiles}) == 4


def test_every_slide_gives_its_share(slides: Path) -> None:
    tiles = read_tiles(list_slides(slides), 0.5, mpp=0.5, most=4)
    assert 3 <= len(tiles) <= 4
    assert (tiles[0] == 90).all() and not (tiles[-1] == 90).all()


def test_drawn_tiles_come_first(slides: Path) -> None:
    assert gather_tiles(0.5, synthetic=DRAWN) is DRAWN
    tiles = gather_tiles(0.5, slides / "b.tif", synthetic=DRAWN)
    assert np.array_equal(tiles[:2], DRAWN) and len(tiles) > 2


def test_picks_evenly_from_first_to_last() -> None:
    items = [Path(str(i)) for i in range(10)]
    assert [path.name for path in pick_evenly(items, 4)] == ["0", "3", "6", "9"]
    assert pick_evenly(items, 20) == items


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file or folder"):
        list_slides(tmp_path / "none")
    with pytest.raises(BadInputError, match="no slide or image in this folder"):
        list_slides(tmp_path)


def test_unknown_resolution_says_how_to_give_it(slides: Path) -> None:
    with pytest.raises(BadInputError, match="Give --mpp"):
        read_tiles([slides / "a.png"], 0.5)


def test_empty_glass_is_told(tmp_path: Path) -> None:
    write_slide(tmp_path / "glass.tif", draw_tile(2400, 0.5, 0, "glass")[0], 0.5)
    with pytest.raises(BadInputError, match="no tissue in this file"):
        read_tiles([tmp_path / "glass.tif"], 0.5)
