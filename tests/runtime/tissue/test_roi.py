"""Regions of interest."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import shapely

from glandseg.core.errors import BadInputError
from glandseg.runtime.tissue.roi import Roi
from glandseg.runtime.tissue.roi_file import read_roi
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.open import open_slide
from glandseg.slides.slide import Slide

SHELL = [[10, 10], [110, 10], [110, 90], [10, 90], [10, 10]]
HOLE = [[40, 40], [60, 40], [60, 60], [40, 60], [40, 40]]
POLYGON = {"type": "Polygon", "coordinates": [SHELL, HOLE]}
POINT = {"type": "Point", "coordinates": [1, 2]}
FAR = {"type": "Polygon", "coordinates": [[[150, 150], [190, 150], [190, 190], [150, 150]]]}


def feature(geometry: Any) -> dict[str, Any]:
    return {"type": "Feature", "id": "PathAnnotationObject", "geometry": geometry, "properties": {}}


def measure(roi: Roi) -> float:
    """Return the area of regions on a slide of 300 x 200 px at 0.5 um/px, in mm2."""
    return roi.restrict(TissueMask.everything(150, 100, 0.5))[1]


@pytest.fixture
def slide(tmp_path: Path) -> Slide:
    cv2.imwrite(str(tmp_path / "slide.png"), np.zeros((200, 300, 3), np.uint8))
    return open_slide(tmp_path / "slide.png", 0.5)


@pytest.mark.parametrize(
    ("content", "area"),
    [
        (POLYGON, 7600),
        (feature(POLYGON), 7600),
        ([feature(POLYGON), feature(FAR)], 8400),
        ({"type": "FeatureCollection", "features": [feature(POLYGON), feature(None)]}, 7600),
        ({"type": "MultiPolygon", "coordinates": [POLYGON["coordinates"], FAR["coordinates"]]}, 8400),
        (
            {"type": "GeometryCollection", "geometries": [POLYGON, {"type": "Point", "coordinates": [1, 2]}]},
            7600,
        ),
    ],
)
def test_kinds_of_geojson(content: Any, area: float, slide: Slide, tmp_path: Path) -> None:
    path = tmp_path / "roi.geojson"
    path.write_text("\ufeff" + json.dumps(content), encoding="utf-8")
    roi = read_roi(path, slide)
    assert measure(roi) == pytest.approx(area * 0.25e-6, rel=0.01)
    assert np.count_nonzero(roi.mask(0, 0, 300, 200, 1.0)) == pytest.approx(area, abs=30)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "is not GeoJSON"),
        ("", "is not GeoJSON"),
        ("[" * 100_000, "is not GeoJSON"),
        ("{}", "is not GeoJSON"),
        ("[1, 2]", "is not GeoJSON"),
        (json.dumps({"type": "FeatureCollection", "features": []}), "holds no polygon"),
        (json.dumps({"type": "LineString", "coordinates": [[0, 0], [9, 9]]}), "holds no polygon"),
        (json.dumps({"type": "Polygon"}), "no polygon|no area|a Polygon"),
        (json.dumps({"type": "Polygon", "coordinates": [[[0, 0], [1, 1]]]}), "no polygon|no area|a Polygon"),
        (
            json.dumps({"type": "Polygon", "coordinates": [[["a", 0], [1, 1], [2, 2], [0, 0]]]}),
            "no polygon|no area|a Polygon",
        ),
        (json.dumps({"type": "Polygon", "coordinates": "x"}), "no polygon|no area|a Polygon"),
        (json.dumps({"type": "Polygon", "coordinates": []}), "holds no polygon"),
        (json.dumps(POLYGON).replace("10", "1e999"), "not numbers"),
        (json.dumps(POLYGON).replace("0,", "0000,"), "lie outside of slide.png, 300 x 200 px"),
        ("[" * 900 + "]" * 900, "holds no polygon|is not GeoJSON"),
    ],
)
def test_wrong_files_are_refused_in_one_line(text: str, told: str, slide: Slide, tmp_path: Path) -> None:
    path = tmp_path / "roi.geojson"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=told) as caught:
        read_roi(path, slide)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_file_and_no_text(slide: Slide, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file"):
        read_roi(tmp_path / "gone.geojson", slide)
    (tmp_path / "roi.geojson").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(BadInputError, match="is not GeoJSON"):
        read_roi(tmp_path / "roi.geojson", slide)


def test_a_crossing_outline_is_mended(slide: Slide, tmp_path: Path) -> None:
    path = tmp_path / "roi.geojson"
    bow = {"type": "Polygon", "coordinates": [[[0, 0], [100, 100], [100, 0], [0, 100], [0, 0]]]}
    path.write_text(json.dumps(bow), encoding="utf-8")
    assert measure(read_roi(path, slide)) == pytest.approx(5000 * 0.25e-6, rel=0.01)


def test_touches_counts_in_um() -> None:
    roi = Roi([shapely.Polygon(SHELL, [HOLE]), shapely.box(150, 150, 190, 190)], 0.5)
    assert roi.touches(0, 0, 6, 6)
    assert not roi.touches(0, 0, 4.9, 100)
    assert not roi.touches(21, 21, 8, 8)  # in the hole
    assert roi.touches(21, 21, 10, 8)
    assert roi.touches(90, 80, 1, 1)
    assert roi.touches(-100, -100, 1000, 1000)


@pytest.mark.parametrize("l0_per_px", [0.8, 1.0, 2.48])
def test_masks_are_exact_and_do_not_depend_on_windows(l0_per_px: float) -> None:
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    radius = 80 + 20 * np.sin(7 * angle)
    star = shapely.Polygon(
        np.column_stack([120 + radius * np.cos(angle), 110 + radius * np.sin(angle)]), [HOLE]
    )
    polygons = [star, shapely.box(200, 20, 260, 90), shapely.box(210, 30, 270, 100)]
    roi = Roi(polygons, 0.5)
    whole = roi.mask(0, 0, 130, 120, l0_per_px)
    y, x = np.mgrid[0:120, 0:130] + 0.5
    expected = np.logical_or.reduce([shapely.contains_xy(p, x * l0_per_px, y * l0_per_px) for p in polygons])
    assert np.array_equal(whole, expected)
    for y in range(0, 120, 40):
        for x in range(-13, 130, 13):
            part = roi.mask(x, y, 13, 40, l0_per_px)
            inside = part[:, max(-x, 0) :]
            assert np.array_equal(inside, whole[y : y + 40, max(x, 0) : x + 13])


def test_exclude_is_what_lies_outside() -> None:
    roi = Roi([shapely.box(10, 10, 20, 20)], 0.5)
    assert roi.exclude(10, 10, 10, 10, 1.0) is None
    outside = roi.exclude(5, 10, 10, 10, 1.0)
    assert outside is not None
    assert outside[:, :5].all()
    assert not outside[:, 5:].any()


SQUARE = [[50, 50], [100, 50], [100, 100], [50, 100], [50, 50]]


def classified(ring: Any, classification: Any) -> dict[str, Any]:
    return {
        **feature({"type": "Polygon", "coordinates": [ring]}),
        "properties": {"classification": classification},
    }


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-32", "gz", "named gz"])
def test_encodings_are_read_as_cut_reads_them(encoding: str, slide: Slide, tmp_path: Path) -> None:
    path = tmp_path / ("roi.geojson.gz" if encoding == "gz" else "roi.geojson")
    text = json.dumps(feature(POLYGON))
    path.write_bytes(gzip.compress(text.encode()) if "gz" in encoding else text.encode(encoding))
    assert measure(read_roi(path, slide)) == pytest.approx(7600 * 0.25e-6)


def test_an_open_ring_is_closed(slide: Slide, tmp_path: Path) -> None:
    path = write(tmp_path / "roi.geojson", {"type": "Polygon", "coordinates": [SQUARE[:-1]]})
    assert measure(read_roi(path, slide)) == pytest.approx(2500 * 0.25e-6)


@pytest.mark.parametrize(
    "classification",
    [
        {"name": "Ignore*"},
        {"name": "ignore"},
        {"names": ["Ignore*", "Fold"]},
        {"name": "Ignore*: Fold"},
        "Ignore*",
    ],
)
def test_ignored_regions_are_left_out_and_told(classification: Any, slide: Slide, tmp_path: Path) -> None:
    around = [[0, 0], [150, 0], [150, 150], [0, 150], [0, 0]]
    content = [classified(SQUARE, classification), classified(around, {"name": "Region*"})]
    roi = read_roi(write(tmp_path / "roi.geojson", content), slide)
    assert not roi.mask(50, 50, 50, 50, 1.0).any()
    assert measure(roi) == pytest.approx((150**2 - 2500) * 0.25e-6)
    assert roi.notes == ("regions of interest: 1 of class Ignore* left out",)


def test_ignored_regions_alone_are_refused(slide: Slide, tmp_path: Path) -> None:
    path = write(tmp_path / "roi.geojson", [classified(SQUARE, {"name": "Ignore*"})])
    with pytest.raises(BadInputError, match=r"Ignore\* only. Draw the region to look at as well"):
        read_roi(path, slide)


def test_classes_points_and_planes_are_told_without_their_names(slide: Slide, tmp_path: Path) -> None:
    content = [classified(SQUARE, {"name": "Smith"}), classified(SHELL, None), feature(POINT)]
    content[0]["geometry"]["plane"] = {"c": -1, "z": 3, "t": 0}
    notes = read_roi(write(tmp_path / "roi.geojson", content), slide).notes
    assert [("planes" in note, "points" in note, "2 classes" in note) for note in notes] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]
    assert "Smith" not in str(notes)


def test_coordinates_that_are_fractions_are_refused(slide: Slide, tmp_path: Path) -> None:
    ring = (np.array(SQUARE) / 300).tolist()
    path = write(tmp_path / "roi.geojson", {"type": "Polygon", "coordinates": [ring]})
    with pytest.raises(BadInputError, match="less than one px of slide.png"):
        read_roi(path, slide)


def test_scribbles_are_refused_before_they_are_mended(slide: Slide, tmp_path: Path) -> None:
    ring = np.random.default_rng(0).uniform(0, 200, (3000, 2)).tolist()
    path = write(tmp_path / "roi.geojson", {"type": "Polygon", "coordinates": [ring]})
    with pytest.raises(BadInputError, match="cross themselves more than 10,000 times"):
        read_roi(path, slide)


def test_many_polygons_are_drawn_as_their_union(slide: Slide, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    corners, sizes = rng.integers(0, 180, (2000, 2)), rng.integers(2, 9, (2000, 2))
    expected = np.zeros((200, 300), np.bool_)
    features = []
    for (x, y), (width, height) in zip(corners.tolist(), sizes.tolist(), strict=True):
        expected[y : y + height, x : x + width] = True
        box = shapely.box(x, y, x + width, y + height)
        features.append(feature(json.loads(shapely.to_geojson(box))))
    roi = read_roi(write(tmp_path / "roi.geojson", features), slide)
    assert np.array_equal(roi.mask(0, 0, 300, 200, 1.0), expected)


def test_polygons_that_cover_the_slide_many_times_are_united(slide: Slide, tmp_path: Path) -> None:
    boxes = [feature(json.loads(shapely.to_geojson(shapely.box(0, 0, 300, 100 + y)))) for y in range(90)]
    roi = read_roi(write(tmp_path / "roi.geojson", boxes), slide)
    assert np.array_equal(np.flatnonzero(roi.mask(0, 0, 1, 200, 1.0)), np.arange(189))


@pytest.mark.parametrize("um_per_px", [8.0, 2.5])
def test_tissue_is_measured_inside_the_regions(um_per_px: float) -> None:
    roi = Roi([shapely.box(100, 100, 130, 140), shapely.box(110, 100, 150, 140)], 0.5)
    tissue = TissueMask.everything(400, 300, um_per_px)
    inside, area_mm2 = roi.restrict(tissue)
    assert area_mm2 == pytest.approx(50 * 40 * 0.25e-6, rel=0.05)
    assert inside.mask.any() and not inside.mask.all()
    tissue.mask[:] = False
    assert roi.restrict(tissue)[1] == 0
    assert Roi([shapely.box(5000, 5000, 6000, 6000)], 0.5).restrict(tissue)[1] == 0


def test_what_a_crossing_outline_encloses_twice_is_inside(slide: Slide, tmp_path: Path) -> None:
    turn = np.arange(5) * 4 * np.pi / 5
    ring = np.column_stack([100 + 80 * np.sin(turn), 100 - 80 * np.cos(turn)]).tolist()  # a pentagram, open
    path = write(tmp_path / "roi.geojson", {"type": "Polygon", "coordinates": [ring]})
    roi = read_roi(path, slide)
    assert roi.mask(90, 90, 20, 20, 1.0).all()
    assert roi.touches(47, 47, 5, 5)


def test_a_ring_of_very_many_corners(slide: Slide, tmp_path: Path) -> None:
    turn = np.linspace(0, 2 * np.pi, 100_000, endpoint=False)
    ring = np.column_stack([150 + 90 * np.cos(turn), 100 + 90 * np.sin(turn)]).round(3).tolist()
    path = write(tmp_path / "roi.geojson", {"type": "Polygon", "coordinates": [ring]})
    roi = read_roi(path, slide)
    assert measure(roi) == pytest.approx(np.pi * 90**2 * 0.25e-6, rel=1e-3)
    assert sum(roi.touches(x, y, 1, 1) for x in range(0, 150, 3) for y in range(0, 100, 3)) > 500
