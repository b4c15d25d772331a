"""The overview shows the thumbnail, outlines in their place, a true scale bar and a caption."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely import Polygon, box

from glandseg.core.errors import BadInputError
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.overview import OVERVIEW_PX, choose_scale_bar, draw_outlines, write_overview

RING = Polygon(box(400, 400, 1200, 1000).exterior, [box(600, 600, 1000, 800).exterior])
GLAND = Gland(number=1, polygon_px=RING, mean_probability=0.9, lumen_fraction=0.1)


def write(path: Path, width: int, height: int = 300, value: int = 220) -> NDArray[np.uint8]:
    thumbnail = np.full((height, width, 3), value, np.uint8)
    write_overview(path, thumbnail, [GLAND], thumbnail_px_per_px=0.25, um_per_px=1.0, area_mm2=0.4)
    return np.asarray(cv2.imread(str(path)), np.uint8)[:, :, ::-1]


@pytest.mark.parametrize("value", [255, 40])
def test_outline_and_lumen_are_drawn_in_their_place(tmp_path: Path, value: int) -> None:
    image = write(tmp_path / "o.png", 800, value=value)
    green = (image[..., 1] > 200) & (image[..., 0] < 120)
    assert green[180, 95:106].any()
    assert green[180, 145:156].any()
    assert not green[180, 110:140].any()
    assert np.all(image[260:300, 310:] == value)


def test_outlines_are_not_shifted() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    draw_outlines(image, [GLAND], 0.25)
    y, x = np.nonzero(image[..., 1] > 60)
    assert (x.min() + x.max() + 1) / 2 == pytest.approx(200, abs=0.6)
    assert (y.min() + y.max() + 1) / 2 == pytest.approx(175, abs=0.6)


def test_footer_is_below_the_thumbnail_and_holds_ink(tmp_path: Path) -> None:
    image = write(tmp_path / "o.png", 800)
    footer = image[300:]
    assert image.shape[1] == 800
    assert len(footer) >= 40
    assert (footer < 100).any(axis=2).sum() > 500


def test_narrow_thumbnail_is_centred_on_paper(tmp_path: Path) -> None:
    image = write(tmp_path / "o.png", 100)
    assert image.shape[1] == 640
    assert np.all(image[:300, :269] == 255)
    assert np.all(image[5, 270:370] == 220)


@pytest.mark.parametrize(
    ("um_per_px", "width", "label", "length"),
    [
        (4.0, 1200, "1 mm", 250),
        (1.0, 1200, "200 um", 200),
        (8.0, 2400, "2 mm", 250),
        (0.1, 400, "10 um", 100),
    ],
)
def test_scale_bar_is_a_round_length(um_per_px: float, width: int, label: str, length: int) -> None:
    assert choose_scale_bar(um_per_px, width) == (label, length)


def test_scale_bar_is_drawn_at_its_length(tmp_path: Path) -> None:
    footer = write(tmp_path / "o.png", 800)[300:]
    _, length = choose_scale_bar(4.0, 800)
    longest = max((row[:150] < 100).all(axis=1).sum() for row in footer)
    assert longest == pytest.approx(length, abs=2)


def test_same_input_same_bytes(tmp_path: Path) -> None:
    write(tmp_path / "a.png", 700)
    write(tmp_path / "b.png", 700)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_no_gland_is_still_a_image(tmp_path: Path) -> None:
    white = np.full((50, 700, 3), 255, np.uint8)
    write_overview(tmp_path / "o.png", white, [], thumbnail_px_per_px=0.1, um_per_px=1.0, area_mm2=0.0)
    assert np.asarray(cv2.imread(str(tmp_path / "o.png"))).shape[1] == 700


@pytest.mark.parametrize(("width", "height"), [(4000, 1000), (900, 7001), (9000, 3), (1601, 1600)])
def test_a_large_thumbnail_is_shrunk_with_its_outlines(tmp_path: Path, width: int, height: int) -> None:
    thumbnail = np.full((height, width, 3), 220, np.uint8)
    x, y, shrink = width / 2, height / 2, OVERVIEW_PX / max(width, height)
    square = Polygon(box(0.8 * x, 0.8 * y, 1.2 * x, 1.2 * y))
    gland = Gland(number=1, polygon_px=square, mean_probability=0.9, lumen_fraction=0.1)
    write_overview(
        tmp_path / "o.png", thumbnail, [gland], thumbnail_px_per_px=1.0, um_per_px=1.0, area_mm2=0.0
    )
    image = np.asarray(cv2.imread(str(tmp_path / "o.png")), np.uint8)[: max(1, round(height * shrink))]
    drawn_y, drawn_x = np.nonzero((image != 220).any(axis=2) & (image != 255).any(axis=2))
    assert max(image.shape[1], len(image)) == OVERVIEW_PX
    assert (drawn_x.min() + drawn_x.max() + 1) / 2 == pytest.approx(image.shape[1] / 2, abs=1)
    assert (drawn_y.min() + drawn_y.max() + 1) / 2 == pytest.approx(len(image) / 2, abs=1)


def test_a_casing_never_covers_a_neighbours_line() -> None:
    squares = [box(20, 20, 60, 60), box(61, 20, 99, 60)]
    glands = [
        Gland(number=number, polygon_px=square, mean_probability=0.9, lumen_fraction=0.1)
        for number, square in enumerate(squares, 1)
    ]
    one, other = np.zeros((2, 100, 120, 3), np.uint8)
    draw_outlines(one, glands, 1.0)
    draw_outlines(other, glands[::-1], 1.0)
    assert np.abs(one.astype(int) - other).max() <= 2


def test_bad_input_is_refused(tmp_path: Path) -> None:
    white = np.full((50, 70, 3), 255, np.uint8)
    for thumbnail, um_per_px, error in ((white, 0.0, "um_per_px"), (white[..., 0], 1.0, "thumbnail")):
        with pytest.raises((BadInputError, ValueError), match=error):
            write_overview(
                tmp_path / "o.png",
                thumbnail,
                [],
                thumbnail_px_per_px=1.0,
                um_per_px=um_per_px,
                area_mm2=0.0,
            )
