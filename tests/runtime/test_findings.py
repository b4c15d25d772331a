"""What the outputs are called, and the table and thumbnail behind them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from shapely import Polygon, box

from glandseg.runtime.findings import OVERVIEW_PX, SUFFIXES, Findings, draw_thumbnail, name_outputs
from glandseg.runtime.glands import Gland
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.slide import open_slide


def lay(tmp_path: Path, width: int, height: int) -> SlidePlane:
    cv2.imwrite(str(tmp_path / "picture.png"), np.full((height, width, 3), 70, np.uint8))
    return SlidePlane(open_slide(tmp_path / "picture.png", 0.5), 1.0)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.svs", "a"),
        ("a.ome.tif", "a"),
        ("A.OME.TIF", "A"),
        ("a.ome.tiff", "a"),
        ("a.b.ndpi", "a.b"),
        ("a", "a"),
        ("2024-01-01 µ.tif", "2024-01-01 µ"),
    ],
)
def test_outputs_are_named_after_the_slide(name: str, stem: str) -> None:
    names = name_outputs(Path("folder") / name)
    assert names == [stem + suffix for suffix in SUFFIXES]
    assert names[-1].endswith(".run.json")
    assert name not in names


def test_lumina_do_not_count_as_area_and_ids_tell_slides_apart(tmp_path: Path) -> None:
    ring = Polygon(box(0, 0, 100, 100).exterior, [box(25, 25, 75, 75).exterior])
    gland = Gland(number=1, polygon_px=ring, mean_probability=1.0, lumen_fraction=0.25)
    plane = lay(tmp_path, 400, 400)
    one, same, other = (
        Findings(glands=[gland], plane=plane, slide_sha256=name, model_sha256="m") for name in "aab"
    )
    assert one.area_mm2 == pytest.approx(7500e-6)
    assert one.measure() == same.measure()
    assert one.measure()[0].id != other.measure()[0].id
    assert one.measure()[0].area_px_l0 == pytest.approx(30_000)


@pytest.mark.parametrize(("width", "height"), [(300, 200), (4000, 1000), (900, 7001), (9000, 3)])
def test_the_thumbnail_shows_the_whole_plane(width: int, height: int, tmp_path: Path) -> None:
    plane = lay(tmp_path, width, height)
    thumbnail, share = draw_thumbnail(plane)
    assert max(thumbnail.shape) == min(max(plane.width_px, plane.height_px), OVERVIEW_PX)
    assert thumbnail.shape[1] == pytest.approx(plane.width_px * share, abs=1)
    assert thumbnail.shape[0] == pytest.approx(plane.height_px * share, abs=1)
    assert (thumbnail == 70).all()
