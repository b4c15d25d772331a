"""Regions come out of QuPath's GeoJSON as areas of gland and of other tissue."""

from __future__ import annotations

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

from glandseg.core.errors import BadInputError
from glandseg.training.data.annotated_regions import read_regions
from glandseg.training.data.area import Area

Ring = list[list[float]]


def box(x0: float, y0: float, x1: float, y1: float) -> Ring:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def make_feature(name: str | None, coordinates: Any, kind: str = "Polygon") -> dict[str, Any]:
    classification = {"classification": {"name": name, "color": [0, 200, 83]}} if name else {}
    return {
        "type": "Feature",
        "id": "6c1a",
        "geometry": {"type": kind, "coordinates": coordinates},
        "properties": {"objectType": "annotation", **classification},
    }


def write_features(path: Path, features: Sequence[dict[str, Any]]) -> Path:
    text = json.dumps({"type": "FeatureCollection", "features": features}).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
    return path


def measure(path: Path) -> tuple[float, float]:
    regions = read_regions(path)
    return sum(part.area for part in regions.gland), sum(part.area for part in regions.non_gland)


@pytest.mark.parametrize("name", ["a.geojson", "a.geojson.gz"])
def test_classes_holes_and_several_parts(tmp_path: Path, name: str) -> None:
    features = [
        make_feature("Gland", [box(0, 0, 10, 10), box(2, 2, 4, 4)]),
        make_feature("GLAND: malignant", [[box(20, 0, 30, 10)], [box(40, 0, 50, 10)]], "MultiPolygon"),
        make_feature("Non-gland", [box(0, 20, 10, 30)]),
        make_feature("stroma", [box(20, 20, 30, 30)]),
        make_feature("Other", [box(40, 20, 50, 30)]),
        make_feature("Tumor", [box(0, 0, 99, 99)]),
        make_feature(None, [box(0, 0, 99, 99)]),
    ]
    assert measure(write_features(tmp_path / name, features)) == (296, 300)


def test_the_smaller_region_counts(tmp_path: Path) -> None:
    features = [
        make_feature("gland", [box(10, 10, 20, 20)]),
        make_feature("gland", [box(15, 10, 25, 20)]),  # overlaps its like: counted once
        make_feature("stroma", [box(0, 0, 40, 40)]),
        make_feature("stroma", [box(12, 12, 14, 14)]),
    ]
    path = write_features(tmp_path / "a.geojson", features)
    assert measure(path) == (146, 1454)
    assert [island.area for island in read_regions(path).find_islands()] == [1600]


@pytest.mark.parametrize("wrap", [lambda feature: feature, lambda feature: [feature]])
def test_a_lone_feature_or_a_list_will_do(tmp_path: Path, wrap: Any) -> None:
    (tmp_path / "a.geojson").write_text(json.dumps(wrap(make_feature("gland", [box(0, 0, 2, 3)]))))
    assert measure(tmp_path / "a.geojson") == (6, 0)


CROSSED = [[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (make_feature("gland", [CROSSED]), r"feature 1 \(gland\) is not a valid polygon \(Self-intersection"),
        (make_feature("gland", [0, 0], "Point"), "is a Point, regions are polygons"),
        (make_feature("gland", [[[0, 0], [1, 1]]]), "make no polygon|no area"),
        (make_feature("gland", "x"), "make no polygon|no area"),
        (make_feature("gland", []), "no area"),
        (make_feature("gland", [box(0, 0, float("nan"), 1)]), "not a valid polygon"),
        ({"type": "Feature", "properties": {"classification": {"name": "gland"}}}, "is a None"),
        (
            make_feature("Tumor", [box(0, 0, 1, 1)]),
            r"no region is classified Gland or Non-gland \(found: 1 of class Tumor\)",
        ),
        (make_feature(None, [box(0, 0, 1, 1)]), r"\(found: 1 without class\)"),
    ],
)
def test_what_is_no_region_is_refused(tmp_path: Path, feature: dict[str, Any], message: str) -> None:
    path = write_features(tmp_path / "a.geojson", [feature])
    with pytest.raises(BadInputError, match=message) as caught:
        read_regions(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[1, 2]", b"7", b'"x"', b'{"features": 3}', b"\xff\xfe", b"[" * 100_000]
)
def test_what_is_no_geojson_is_refused(tmp_path: Path, content: bytes) -> None:
    for name, data in (
        ("a.geojson", content),
        ("a.geojson.gz", gzip.compress(content)),
        ("b.geojson.gz", content),
    ):
        (tmp_path / name).write_bytes(data)
        with pytest.raises(BadInputError, match="not GeoJSON") as caught:
            read_regions(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_an_area_is_measured_and_drawn() -> None:
    holed = shapely.Polygon(box(1, 1, 7, 7), [box(3, 3, 5, 5)])
    area = Area([holed, shapely.box(7.4, 0, 9, 2)])
    squares = np.array([shapely.box(0, 0, 8, 8), shapely.box(4, 4, 6, 6), shapely.box(20, 0, 28, 8)], object)
    np.testing.assert_allclose(area.measure(squares), [32 + 1.2, 3, 0])
    drawn = area.draw(0, 0, 8)
    assert drawn.dtype == np.uint8 and set(np.unique(drawn)) == {0, 255}
    assert (drawn[1:7, 1:7] == 255).sum() == 32 and (drawn[:2, 7] == 255).all() and (drawn == 255).sum() == 34
    assert not Area([]).draw(0, 0, 4).any() and not Area([]).measure(squares).any()


def test_a_polygon_of_many_corners_is_measured_and_drawn_whole() -> None:
    ring = shapely.Point(64.5, 64.5).buffer(60, quad_segs=1000) - shapely.Point(64.5, 64.5).buffer(
        20, quad_segs=500
    )
    area, squares = Area([ring]), np.array([shapely.box(x, 3, x + 50, 53) for x in range(0, 80, 7)], object)
    np.testing.assert_allclose(area.measure(squares), shapely.area(shapely.intersection(squares, ring)))
    y, x = np.mgrid[0.5:129, 0.5:129]
    distance = np.hypot(x - 64.5, y - 64.5)
    sure = (np.abs(distance - 60) > 0.01) & (np.abs(distance - 20) > 0.01)
    np.testing.assert_array_equal(
        (area.draw(0, 0, 129) == 255)[sure], ((distance < 60) & (distance > 20))[sure]
    )


def classify(feature: dict[str, Any], classification: Any) -> dict[str, Any]:
    return {**feature, "properties": {"objectType": "annotation", "classification": classification}}


FIELD = make_feature("Non-gland", [box(0, 0, 100, 100)])
SPOT = make_feature(None, [box(10, 10, 20, 20)])


@pytest.mark.parametrize(
    "classification",
    [
        {"name": "Gland"},
        {"names": ["Gland", "Dysplasia"]},
        {"name": "Gland: Dysplasia"},
        "Gland",
        '{"name": "Gland", "color": [0, 200, 83]}',
        {"names": [" gland "]},
    ],
)
def test_derived_classes_and_those_written_otherwise_count(tmp_path: Path, classification: Any) -> None:
    path = write_features(tmp_path / "a.geojson", [FIELD, classify(SPOT, classification)])
    assert measure(path) == (100, 9900)
    assert read_regions(path).notes == ()


@pytest.mark.parametrize(
    ("classification", "told"),
    [
        ({"name": "Glands"}, "class Glands"),
        ({"names": ["Dysplasia", "Gland"]}, "class Dysplasia: Gland"),
        ("tumour", "class tumour"),
        (None, "class none"),
        ({"name": 7}, "class none"),
        ({"name": "a\x1b[31mb\nc" + "x" * 99}, r"class a \[31mb cx+\.\.\."),
    ],
)
def test_other_classes_on_a_region_are_refused(tmp_path: Path, classification: Any, told: str) -> None:
    path = write_features(tmp_path / "a.geojson", [FIELD, classify(SPOT, classification)])
    with pytest.raises(
        BadInputError, match=rf"feature 2 \({told}\) lies on feature 1 \(Non-gland\)"
    ) as caught:
        read_regions(path)
    assert str(caught.value).isprintable()


def test_other_classes_beside_or_around_regions_are_skipped_with_a_note(tmp_path: Path) -> None:
    features = [
        FIELD,
        make_feature("Tumor", [box(-50, -50, 300, 300)]),
        make_feature(None, [box(99.99, 0, 110, 10)]),  # a neighbour
        make_feature("Tumor", [5, 5], "Point"),
        {**SPOT, "properties": {"objectType": "cell", "classification": {"name": "Positive"}}},
    ]
    regions = read_regions(write_features(tmp_path / "a.geojson", features))
    assert regions.notes == (
        "passed over, as neither Gland nor Non-gland: 2 of class Tumor, 1 without class, 1 of class Positive",
    )


def test_ignored_regions_are_left_out_of_fields_with_a_note(tmp_path: Path) -> None:
    features = [
        FIELD,
        make_feature("Gland", [box(40, 40, 60, 60)]),
        make_feature("Ignore*", [box(50, 0, 60, 100)]),
    ]
    path = write_features(tmp_path / "a.geojson", features)
    assert measure(path) == (200, 10_000 - 1000 - 200)
    assert read_regions(path).notes == ("left out: 1 of class Ignore*",)


def test_a_class_that_is_both_is_refused(tmp_path: Path) -> None:
    path = write_features(tmp_path / "a.geojson", [make_feature("Stroma: Gland", [box(0, 0, 9, 9)])])
    with pytest.raises(BadInputError, match="as gland and as non-gland"):
        read_regions(path)


def test_regions_on_several_planes_are_noted(tmp_path: Path) -> None:
    features = [make_feature("Gland", [box(0, 0, 9, 9)]), make_feature("Gland", [box(20, 0, 29, 9)])]
    features[1]["geometry"]["plane"] = {"c": -1, "z": 4, "t": 0}
    (note,) = read_regions(write_features(tmp_path / "a.geojson", features)).notes
    assert note.startswith("regions lie on several planes (z 0 t 0, z 4 t 0)")
