"""Glands that a border cuts."""

from __future__ import annotations

import pytest
from shapely import Polygon, box

from glandseg.runtime.glands.borders import Borders

SLIDE = box(0, 0, 1000, 800)
HOLED = Polygon(box(200, 200, 600, 600).exterior, [box(300, 300, 400, 400).exterior])


@pytest.mark.parametrize(
    ("gland", "touches"),
    [
        (box(0, 100, 50, 150), True),
        (box(1.5, 100, 50, 150), True),
        (box(20, 100, 50, 150), False),
        (box(950, 700, 1000, 750), True),
        (box(210, 450, 250, 500), False),
        (box(201, 450, 250, 500), True),
        (box(290, 320, 299, 350), True),
        (box(700, 100, 720, 120), False),
    ],
)
def test_a_gland_near_any_boundary_is_cut(gland: Polygon, touches: bool) -> None:
    assert Borders([SLIDE, HOLED]).touch(gland) is touches


def test_without_borders_none_is_cut() -> None:
    assert not Borders([]).touch(box(0, 0, 1, 1))
