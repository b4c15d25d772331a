"""The overview shows the thumbnail, outlines in their place, a true scale bar and a caption."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely import Polygon, box

from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.overview import OVERVIEW_PX, choose_scale_bar, draw_contours, write_overview

RING = Polygon(box(400, 400, 1200, 1000).exterior, [box(600, 600, 1000, 800).exterior])
Paint = Callable[..., NDArray[np.uint8]]


def wrap(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


@pytest.fixture
def paint(tmp_path: Path, make_found: Callable[..., SlideGlands], write: Callable[..., list[str]]) -> Paint:
    """Return a function that writes an overview and reads it back as RGB."""

    def run(
        width: int,
        height: int = 300,
        value: int = 220,
        scale: float = 0.25,
        polygons: Sequence[Polygon] = (RING,),
    ) -> NDArray[np.uint8]:
        thumbnail = np.full((height, width, 3), value, np.uint8)
        found = make_found(wrap(*polygons), um_per_px=1.0, thumbnail=thumbnail, thumbnail_px_per_px=scale)
        write(write_overview, tmp_path / "o.png", found)
        return np.asarray(cv2.imread(str(tmp_path / "o.png")), np.uint8)[:, :, ::-1]

    return run


@pytest.mark.parametrize("value", [255, 40])
def test_outline_and_lumen_are_drawn_in_their_place(paint: Paint, value: int) -> None:
    image = paint(800, value=value)
    green = (image[..., 1] > 200) & (image[..., 0] < 120)
    assert green[180, 95:106].any()
    assert green[180, 145:156].any()
    assert not green[180, 110:140].any()
    assert np.all(image[260:300, 310:] == value)


def test_outlines_are_not_shifted() -> None:
    image = np.zeros((300, 400, 3), np.uint8)
    with draw_contours(image, 0.25) as draw:
        draw(RING)
    y, x = np.nonzero(image[..., 1] > 60)
    assert (x.min() + x.max() + 1) / 2 == pytest.approx(200, abs=0.6)
    assert (y.min() + y.max() + 1) / 2 == pytest.approx(175, abs=0.6)


def test_footer_is_below_the_thumbnail_and_holds_ink(paint: Paint) -> None:
    image = paint(800)
    footer = image[300:]
    assert image.shape[1] == 800
    assert len(footer) >= 40
    assert (footer < 100).any(axis=2).sum() > 500


def test_narrow_thumbnail_is_centred_on_paper(paint: Paint) -> None:
    image = paint(100)
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


def test_scale_bar_is_drawn_at_its_length(paint: Paint) -> None:
    footer = paint(800)[300:]
    _, length = choose_scale_bar(4.0, 800)
    longest = max((row[:150] < 100).all(axis=1).sum() for row in footer)
    assert longest == pytest.approx(length, abs=2)


def test_same_input_same_bytes(tmp_path: Path, paint: Paint) -> None:
    paint(700)
    first = (tmp_path / "o.png").read_bytes()
    paint(700)
    assert (tmp_path / "o.png").read_bytes() == first


def test_no_gland_is_still_an_image(paint: Paint) -> None:
    assert paint(700, 50, 255, 0.1, polygons=()).shape[1] == 700


@pytest.mark.parametrize(("width", "height"), [(4000, 1000), (900, 7001), (9000, 3), (1601, 1600)])
def test_a_large_thumbnail_is_shrunk_with_its_outlines(paint: Paint, width: int, height: int) -> None:
    x, y, shrink = width / 2, height / 2, OVERVIEW_PX / max(width, height)
    square = Polygon(box(0.8 * x, 0.8 * y, 1.2 * x, 1.2 * y))
    image = paint(width, height, scale=1.0, polygons=[square])[: max(1, round(height * shrink))]
    drawn_y, drawn_x = np.nonzero((image != 220).any(axis=2) & (image != 255).any(axis=2))
    assert max(image.shape[1], len(image)) == OVERVIEW_PX
    assert (drawn_x.min() + drawn_x.max() + 1) / 2 == pytest.approx(image.shape[1] / 2, abs=1)
    assert (drawn_y.min() + drawn_y.max() + 1) / 2 == pytest.approx(len(image) / 2, abs=1)


def test_a_casing_never_covers_a_neighbours_line() -> None:
    squares = [box(20, 20, 60, 60), box(61, 20, 99, 60)]
    one, other = np.zeros((2, 100, 120, 3), np.uint8)
    for image, order in ((one, squares), (other, squares[::-1])):
        with draw_contours(image, 1.0) as draw:
            for square in order:
                draw(square)
    assert np.abs(one.astype(int) - other).max() <= 2
