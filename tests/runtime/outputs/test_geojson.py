"""GeoJSON as QuPath reads it: valid on the 0.01 px grid, the same bytes twice, agreeing with the table."""

from __future__ import annotations

import gzip
import json
import math
import uuid
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely import Polygon, box
from shapely.geometry import shape

from glandseg import RESEARCH_USE
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.maps.rasterize import draw_polygon
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.geojson import MAX_ANNOTATIONS, warn_of_size, write_geojson
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.table import write_csv

Trace = Callable[..., Glands]
MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]
Save = Callable[..., dict[str, Any]]


@pytest.fixture
def save(tmp_path: Path, make_found: MakeFound, write: Write) -> Save:
    """Return a function that writes glands as GeoJSON and reads it back."""

    def run(
        glands: Iterable[Gland], max_annotations: int = MAX_ANNOTATIONS, **options: Any
    ) -> dict[str, Any]:
        found = make_found(glands, metadata={"Model": "µ-model"}, **options)
        write(write_geojson, tmp_path / "a.geojson", found, max_annotations=max_annotations)
        parsed: dict[str, Any] = json.loads((tmp_path / "a.geojson").read_bytes())
        return parsed

    return run


def wrap(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


def trace_noise(trace: Trace, size: int = 120) -> Glands:
    noise = np.random.default_rng(0).integers(0, 256, (size, size)).astype(np.uint8)
    return trace(noise, um_per_px=0.5, min_gland_um2=1, min_lumen_um2=0.3)


RING = Polygon(box(10, 10, 30, 30).exterior, [box(15, 15, 25, 25).exterior])


def test_feature_has_what_qupath_reads(save: Save) -> None:
    collection = save(wrap(RING))
    (feature,) = collection["features"]
    properties = feature["properties"]
    assert collection["type"] == "FeatureCollection"
    assert collection["metadata"] == {"Research use": RESEARCH_USE, "Model": "µ-model"}
    assert uuid.UUID(feature["id"]).version == 5
    assert properties["objectType"] == "annotation"
    assert properties["classification"]["name"] == "Gland"
    assert len(properties["classification"]["color"]) == 3
    assert properties["metadata"]["Research use"] == RESEARCH_USE
    assert properties["measurements"]["Area um^2"] == 75


def test_hole_is_written_in_level_0_pixels_with_closed_rings(save: Save) -> None:
    (feature,) = save(wrap(RING))["features"]
    shell, hole = feature["geometry"]["coordinates"]
    assert feature["geometry"]["type"] == "Polygon"
    assert shell[0] == shell[-1]
    assert hole[0] == hole[-1]
    assert shape(feature["geometry"]).bounds == (20, 20, 60, 60)
    assert shape(feature["geometry"]).area == 4 * RING.area


def test_every_polygon_of_noise_is_valid_on_the_grid(save: Save, trace: Trace) -> None:
    glands = trace_noise(trace)
    features = save(glands, l0_per_px=1.37)["features"]
    geometries = [shape(feature["geometry"]) for feature in features]
    assert len(geometries) == len(glands) > 100
    assert all(geometry.is_valid and geometry.area > 0 for geometry in geometries)
    assert all(shapely.set_precision(geometry, 0.01).is_valid for geometry in geometries)
    xy = shapely.get_coordinates(geometries)
    assert np.array_equal(xy, np.round(xy, 2))


@pytest.mark.parametrize(
    ("polygon", "kind"),
    [
        (Polygon([(0, 0), (10, 10), (10, 0), (0, 10)]), "MultiPolygon"),  # crosses itself
        (Polygon([(0, 0), (10, 10), (10, 0), (0, 12), (-5, 12), (0, 12)]), "MultiPolygon"),  # and has a spike
        (Polygon([(0, 0), (9, 0), (9, 9), (4, 0.001), (0, 9)]), "MultiPolygon"),  # pinched by the snap
        (Polygon([(0, 0), (9, 0), (9, 9), (9, 0), (20, 0), (20, -5), (0, -5)]), "Polygon"),  # a spike
        (Polygon(box(0, 0, 9, 9).exterior, [[(0.001, 3), (4, 3), (4, 6)]]), "Polygon"),  # hole meets shell
        (box(0, 0, 9, 0.001), "Polygon"),  # thinner than the grid
    ],
)
def test_shapes_that_touch_themselves_become_valid(save: Save, polygon: Polygon, kind: str) -> None:
    (feature,) = save(wrap(polygon))["features"]
    geometry = shape(feature["geometry"])
    assert feature["geometry"]["type"] == kind
    assert geometry.is_valid
    assert geometry.area > 0


def test_slivers_are_dropped(save: Save) -> None:
    bow = Polygon([(0, 0), (10, 10), (10.5, 9.5), (10.5, 10.5), (10, 10), (0, 20)])
    (feature,) = save(wrap(bow), l0_per_px=1.0)["features"]
    assert feature["geometry"]["type"] == "Polygon"


def test_outline_of_many_points_is_written_in_parts(save: Save) -> None:
    turn = np.linspace(0, 2 * np.pi, 50_001)[:-1]
    disk, hole = (np.column_stack([r * np.cos(turn), r * np.sin(turn)]) + 9000 for r in (9000, 4000))
    (feature,) = save(wrap(Polygon(disk, [hole])))["features"]
    geometry = shape(feature["geometry"])
    assert shapely.get_num_coordinates(geometry) > 90_000
    assert geometry.is_valid
    assert geometry.area == pytest.approx(4 * np.pi * (9000**2 - 4000**2), rel=1e-6)


def test_many_glands_become_detections(save: Save) -> None:
    squares = wrap(box(0, 0, 5, 5), box(9, 9, 15, 15))
    assert [
        feature["properties"]["objectType"]
        for limit in (2, 1)
        for feature in save(squares, max_annotations=limit)["features"]
    ] == ["annotation", "annotation", "detection", "detection"]


def test_many_outlines_are_coarser_and_keep_their_ids_and_measurements(save: Save) -> None:
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    disk = Polygon(np.column_stack([20 * np.cos(turn), 20 * np.sin(turn)]) + 40)
    (fine,), (coarse,) = (save(wrap(disk), max_annotations=limit)["features"] for limit in (1, 0))
    assert fine["id"] == coarse["id"]
    assert fine["properties"]["measurements"] == coarse["properties"]["measurements"]
    outlines = [shape(feature["geometry"]) for feature in (fine, coarse)]
    assert shapely.hausdorff_distance(outlines[0].boundary, outlines[1].boundary) <= 2 * 0.26
    assert shapely.get_num_coordinates(outlines[1]) < shapely.get_num_coordinates(outlines[0]) / 5
    assert outlines[1].area == pytest.approx(outlines[0].area, rel=0.02)


@pytest.mark.parametrize(
    ("size_bytes", "heap"), [(100_000_001, "2 GiB"), (271_000_000, "4 GiB"), (415_000_000, "6 GiB")]
)
def test_the_memory_that_qupath_needs_is_told(size_bytes: int, heap: str) -> None:
    (told,) = warn_of_size(MAX_ANNOTATIONS, size_bytes)
    assert f"QuPath needs {heap}" in told


def test_coarse_outlines_are_told() -> None:
    assert warn_of_size(MAX_ANNOTATIONS, 100_000_000) == []
    (told,) = warn_of_size(MAX_ANNOTATIONS + 1, 100_000_000)
    assert "detections in QuPath and simplified by 0.25 px" in told


@pytest.mark.parametrize("squares", [[], [box(0, 0, 5, 5)]])
def test_other_features_follow_the_glands(save: Save, squares: list[Polygon]) -> None:
    others = [{"type": "Feature", "id": str(index), "geometry": None} for index in range(2)]
    features = save(wrap(*squares), unread=others)["features"]
    assert len(features) == len(squares) + 2
    assert features[-2:] == others


def test_no_gland_is_a_valid_empty_collection(save: Save) -> None:
    assert save([])["features"] == []


def test_bytes_are_the_same_twice(tmp_path: Path, save: Save, trace: Trace) -> None:
    glands = trace_noise(trace, 40)
    save(glands)
    first = (tmp_path / "a.geojson").read_bytes()
    save(glands)
    assert (tmp_path / "a.geojson").read_bytes() == first


def test_not_a_number_is_never_written(tmp_path: Path, save: Save) -> None:
    save([replace(gland, lumen_fraction=math.nan) for gland in wrap(RING)])
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "Lumen" not in text


def test_outlines_mask_and_table_agree(
    tmp_path: Path, trace: Trace, save: Save, make_found: MakeFound, write: Write
) -> None:
    y, x = np.mgrid[:200, :200]
    waves = (127.5 + 127 * np.sin(x / 9) * np.sin(y / 11)).astype(np.uint8)
    glands = trace(waves, um_per_px=0.5, min_gland_um2=20, min_lumen_um2=5)
    features, found = save(glands)["features"], make_found(glands)
    rows = [found.measure(gland) for gland in glands]
    write(write_csv, tmp_path / "a.csv", found)
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == [feature["id"] for feature in features]
    with TileMap(tmp_path / "mask", 200, 200) as mask:
        for gland in glands:
            draw_polygon(gland.polygon_px, mask)
        area_px = np.count_nonzero(mask.read(0, 0, 200, 200))
    assert sum(row.area_um2 for row in rows) == pytest.approx(area_px * 0.25, rel=0.01)
    assert sum(shape(feature["geometry"]).area for feature in features) == pytest.approx(
        sum(row.area_px_l0 for row in rows), rel=1e-3
    )


def test_a_compressed_file_holds_the_same_text_and_no_time(
    tmp_path: Path, make_found: MakeFound, write: Write
) -> None:
    found = make_found(wrap(RING))
    write(write_geojson, tmp_path / "a.geojson", found)
    write(write_geojson, tmp_path / "a.geojson.gz", found)
    packed = (tmp_path / "a.geojson.gz").read_bytes()
    assert gzip.decompress(packed) == (tmp_path / "a.geojson").read_bytes()
    assert packed[3:8] == bytes(5)  # flags, time


def test_the_memory_that_qupath_needs_follows_the_text(
    tmp_path: Path, make_found: MakeFound, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("glandseg.runtime.outputs.geojson._LARGE_BYTES", 5000)
    found = make_found(wrap(*[RING] * 20))
    plain, packed = (write(write_geojson, tmp_path / name, found) for name in ("a.geojson", "a.geojson.gz"))
    assert plain == packed != []
    assert (tmp_path / "a.geojson.gz").stat().st_size < 5000
