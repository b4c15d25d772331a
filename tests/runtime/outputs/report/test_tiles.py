"""The tiles in the page: where they should lie, with tissue alone in the fine levels, never too large."""

from __future__ import annotations

import base64
import io
import re
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.outputs.report.tiles import TILE_PX, write_tiles
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.plane import TiledPlane
from tests.runtime.outputs.conftest import EmptyMap

Pixels = NDArray[np.uint8]
Place = tuple[int, int, int]
TILE = re.compile(
    rb'<script type="image/jpeg" class="tile" data-place="(\d+)/(\d+)/(\d+)">([^<]*)</script>\n'
)


class PaintedPlane(TiledPlane):
    """An image at 1 um/px, averaged to any um/px."""

    def __init__(self, image: Pixels, um_per_px: float) -> None:
        self.um_per_px = self.l0_per_px = um_per_px
        self.height_px, self.width_px = (-(-side // int(um_per_px)) for side in image.shape[:2])
        size = self.width_px, self.height_px
        self._image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        super().__init__(TILE_PX, 1 << 20)

    def _make_tile(self, column: int, row: int) -> Pixels:
        x, y, width, height = self._place_tile(column, row)
        return self._image[y : y + height, x : x + width]


def show(image: Pixels, tissue: NDArray[np.bool_], um_per_thumbnail_px: int = 8, readers: int = 2) -> Imagery:
    return Imagery(
        lay_plane=lambda um: PaintedPlane(image, um),
        tissue=TissueMask(tissue, 8.0),
        probability=EmptyMap(*image.shape[:2]),
        thumbnail=PaintedPlane(image, um_per_thumbnail_px)._image,
        thumbnail_um_per_px=um_per_thumbnail_px,
        readers=readers,
    )


def write(imagery: Imagery, max_bytes: float = 1e9) -> tuple[dict[str, Any], dict[Place, Pixels], bytes]:
    file = io.BytesIO(b"before")
    file.seek(0, io.SEEK_END)
    layout = write_tiles(file, imagery, 1.0, max_bytes)
    text = file.getvalue().removeprefix(b"before")
    tiles = {}
    for level, column, row, jpeg in TILE.findall(text):
        image = cv2.imdecode(np.frombuffer(base64.b64decode(jpeg), np.uint8), cv2.IMREAD_COLOR)
        tiles[int(level), int(column), int(row)] = np.asarray(image, np.uint8)[..., ::-1]
    return layout, tiles, text


@pytest.fixture
def image() -> Pixels:
    """Paint smooth noise: 2,500 x 1,700 um at 1 um/px, a left half in which nothing is."""
    noise = np.random.default_rng(0).integers(0, 256, (18, 26, 3)).astype(np.uint8)
    image = np.asarray(cv2.resize(noise, (2500, 1700), interpolation=cv2.INTER_CUBIC), np.uint8)
    image[:, :1250] = 255
    return image


def mark(image: Pixels) -> NDArray[np.bool_]:
    tissue = np.zeros((-(-image.shape[0] // 8), -(-image.shape[1] // 8)), bool)
    tissue[:, 1250 // 8 + 1 :] = True
    return tissue


def test_every_level_shows_the_slide_in_its_place(image: Pixels) -> None:
    layout, tiles, _ = write(show(image, mark(image)))
    assert layout == {"tile": TILE_PX, "um_per_px": 1.0, "width": 2500, "height": 1700, "levels": 5}
    for (level, column, row), tile in tiles.items():
        whole = PaintedPlane(image, 2**level)._image
        y, x = row * TILE_PX, column * TILE_PX
        part = whole[y : y + TILE_PX, x : x + TILE_PX]
        assert tile.shape == part.shape
        assert np.abs(tile.astype(int) - part).mean() < 6
    assert {place[0] for place in tiles} == set(range(5))


def test_fine_levels_hold_tissue_alone_and_coarse_ones_the_whole_slide(image: Pixels) -> None:
    _, tiles, _ = write(show(image, mark(image)))
    assert {column for level, column, _ in tiles if level == 0} == set(range(4, 10))
    assert {column for level, column, _ in tiles if level == 3} == {0, 1}


@pytest.mark.parametrize("readers", [1, 3])
def test_threads_change_no_byte(image: Pixels, readers: int) -> None:
    assert write(show(image, mark(image), readers=readers))[2] == write(show(image, mark(image)))[2]


def test_what_does_not_fit_is_shown_coarser_within_the_size(image: Pixels) -> None:
    *_, whole = write(show(image, mark(image)))
    finest = []
    for share in (0.5, 0.2, 0.05):
        layout, tiles, text = write(show(image, mark(image)), len(whole) * share)
        assert len(text) <= len(whole) * share
        assert {place[0] for place in tiles} == set(range(layout["levels"]))
        finest.append(layout["um_per_px"])
    assert finest == sorted(set(finest))
    assert finest[0] > 1


def test_the_coarsest_level_is_written_in_any_case(image: Pixels) -> None:
    layout, tiles, _ = write(show(image, mark(image)), 0)
    assert layout["levels"] == len(tiles) == 1


def test_a_thumbnail_as_fine_as_the_slide_is_shown_as_it_is(image: Pixels) -> None:
    layout, tiles, _ = write(show(image[:300, 1300:1700], np.ones((38, 50), bool), 1))
    assert (layout["um_per_px"], layout["width"], layout["height"], layout["levels"]) == (1.0, 400, 300, 2)
    assert set(tiles) == {(0, 0, 0), (0, 1, 0), (0, 0, 1), (0, 1, 1), (1, 0, 0)}


def test_a_slide_without_tissue_is_shown_by_its_thumbnail(image: Pixels) -> None:
    _, tiles, _ = write(show(image, np.zeros_like(mark(image))))
    assert {place[0] for place in tiles} == {3, 4}
