"""The order of windows: each once, and rows final as soon as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import pytest

from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.tiling.order import choose_swath_px, count_windows, order_windows
from glandseg.runtime.tiling.scales import ScalePlane, Wanted
from glandseg.runtime.tiling.window_store import Key
from glandseg.slides.slide_plane import SlidePlane

WIDTH, HEIGHT = 3000, 5000


@dataclass
class Sheet:
    """A plane without pixels."""

    width_px: int
    height_px: int
    um_per_px: float


def want_all(*rectangle: float) -> bool:
    return True


def want_left(x_um: float, y_um: float, width_um: float, height_um: float) -> bool:
    return x_um < 900


def lay(scales: tuple[float, ...], wanted: Wanted = want_all) -> list[ScalePlane]:
    return [
        ScalePlane(
            scale=scale,
            plane=cast(SlidePlane, Sheet(round(WIDTH * scale), round(HEIGHT * scale), 1 / scale)),
            wanted=wanted,
        )
        for scale in scales
    ]


@pytest.mark.parametrize("swath_px", [256, 512, 4096])
@pytest.mark.parametrize("wanted", [want_all, want_left])
def test_every_wanted_window_comes_once(swath_px: int, wanted: Wanted) -> None:
    planes = lay((0.75, 1.0, 2.5), wanted)
    keys = [key for step in order_windows(planes, HEIGHT, swath_px) for key in step.windows]
    places = {
        Key(index, row, column)
        for index, item in enumerate(planes)
        for row in range(len(item.grid.rows))
        for column in range(len(item.grid.columns))
        if wanted(item.grid.columns[column] / item.scale, 0, 0, 0)
    }
    assert len(keys) == len(set(keys)) == count_windows(planes)
    assert set(keys) == places


@pytest.mark.parametrize("scales", [(1.0,), (0.25, 1.0), (0.75, 1.0, 3.0)])
@pytest.mark.parametrize("swath_px", [256, 2048])
def test_no_later_window_reaches_final_rows(scales: tuple[float, ...], swath_px: int) -> None:
    planes = lay(scales)
    final = 0
    for step in order_windows(planes, HEIGHT, swath_px):
        for key in step.windows:
            item = planes[key.plane]
            assert item.grid.rows[key.row] / item.scale >= final or final == 0
        assert step.final_px >= final
        final = step.final_px
        assert final == HEIGHT or final % 256 == 0
    assert final == HEIGHT


def test_rows_lag_behind_windows_by_little() -> None:
    for index, step in enumerate(order_windows(lay((1.0,)), HEIGHT, 256)):
        assert step.final_px >= index * 256


def test_within_a_swath_the_walk_goes_from_left_to_right() -> None:
    planes = lay((1.0, 2.0))
    for step in order_windows(planes, HEIGHT, 1024):
        centres = [
            (planes[key.plane].grid.columns[key.column] + WINDOW_PX / 2) / planes[key.plane].scale
            for key in step.windows
        ]
        assert centres == sorted(centres)


def test_narrow_slides_go_row_by_row_and_wide_ones_by_swaths() -> None:
    planes = lay((1.0,))
    assert choose_swath_px(planes, 64 << 20) == 256
    assert choose_swath_px(planes, 8 << 20) == 1024
    assert choose_swath_px(planes, 0) == 512
