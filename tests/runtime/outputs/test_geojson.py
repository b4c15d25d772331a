"""GeoJSON as QuPath reads it: valid on the 0.01 px grid, the same bytes twice, agreeing with the table."""

from __future__ import annotations

import gzip
import json
import math
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from shapely import Polygon, box
from shapely.geometry import shape

from glandseg import RESEARCH_USE
from glandseg.runtime.glands.measurements import Measurements, measure_gland
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.glands.tracer import draw_gland
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.geojson import MAX_ANNOTATIONS, warn_of_size, write_geojson
from glandseg.runtime.outputs.table import write_csv

Trace = Callable[..., Glands]


def measure(gland: Gland) -> Measurements:
    return measure_gland(gland, um_per_px=0.5, l0_per_px=2.0, slide_hash="s", model_hash="m")


def write(path: Path, glands: Sequence[Gland], **options: Any) -> dict[str, Any]:
    settings = {"l0_per_px": 2.0, "metadata": {"Model": "µ-model"}, **options}
    write_geojson(path, glands, (measure(gland) for gland in glands), **settings)
    data = path.read_bytes()
    parsed: dict[str, Any] = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    return parsed


def wrap(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


def trace_noise(trace: Trace, size: int = 120) -> Glands:
    noise = np.random.default_rng(0).integers(0, 256, (size, size)).astype(np.uint8)
    return trace(noise, um_per_px=0.5, min_gland_um2=1, min_lumen_um2=0.3)


RING = Polygon(box(10, 10, 30, 30).exterior, [box(15, 15, 25, 25).exterior])


def test_feature_has_what_qupath_reads(tmp_path: Path) -> None:
    collection = write(tmp_path / "a.geojson", wrap(RING))
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


def test_hole_is_written_in_level_0_pixels_with_closed_rings(tmp_path: Path) -> None:
    (feature,) = write(tmp_path / "a.geojson", wrap(RING))["features"]
    shell, hole = feature["geometry"]["coordinates"]
    assert feature["geometry"]["type"] == "Polygon"
    assert shell[0] == shell[-1]
    assert hole[0] == hole[-1]
    assert shape(feature["geometry"]).bounds == (20, 20, 60, 60)
    assert shape(feature["geometry"]).area == 4 * RING.area


def test_every_polygon_of_noise_is_valid_on_the_grid(tmp_path: Path, trace: Trace) -> None:
    glands = trace_noise(trace)
    features = write(tmp_path / "a.geojson", glands, l0_per_px=1.37)["features"]
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
def test_shapes_that_touch_themselves_become_valid(tmp_path: Path, polygon: Polygon, kind: str) -> None:
    (feature,) = write(tmp_path / "a.geojson", wrap(polygon))["features"]
    geometry = shape(feature["geometry"])
    assert feature["geometry"]["type"] == kind
    assert geometry.is_valid
    assert geometry.area > 0


def test_slivers_are_dropped(tmp_path: Path) -> None:
    bow = Polygon([(0, 0), (10, 10), (10.5, 9.5), (10.5, 10.5), (10, 10), (0, 20)])
    (feature,) = write(tmp_path / "a.geojson", wrap(bow), l0_per_px=1.0)["features"]
    assert feature["geometry"]["type"] == "Polygon"


def test_outline_of_many_points_is_written_in_parts(tmp_path: Path) -> None:
    turn = np.linspace(0, 2 * np.pi, 50_001)[:-1]
    disk, hole = (np.column_stack([r * np.cos(turn), r * np.sin(turn)]) + 9000 for r in (9000, 4000))
    (feature,) = write(tmp_path / "a.geojson", wrap(Polygon(disk, [hole])))["features"]
    geometry = shape(feature["geometry"])
    assert shapely.get_num_coordinates(geometry) > 90_000
    assert geometry.is_valid
    assert geometry.area == pytest.approx(4 * np.pi * (9000**2 - 4000**2), rel=1e-6)


def test_many_glands_become_detections(tmp_path: Path) -> None:
    squares = wrap(box(0, 0, 5, 5), box(9, 9, 15, 15))
    assert [
        feature["properties"]["objectType"]
        for limit in (2, 1)
        for feature in write(tmp_path / "a.geojson", squares, max_annotations=limit)["features"]
    ] == ["annotation", "annotation", "detection", "detection"]


def test_many_outlines_are_coarser_and_keep_their_ids_and_measurements(tmp_path: Path) -> None:
    turn = np.linspace(0, 2 * np.pi, 300, endpoint=False)
    disk = Polygon(np.column_stack([20 * np.cos(turn), 20 * np.sin(turn)]) + 40)
    (fine,), (coarse,) = (
        write(tmp_path / "a.geojson", wrap(disk), max_annotations=limit)["features"] for limit in (1, 0)
    )
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
def test_other_features_follow_the_glands(tmp_path: Path, squares: list[Polygon]) -> None:
    others = [{"type": "Feature", "id": str(index), "geometry": None} for index in range(2)]
    features = write(tmp_path / "a.geojson", wrap(*squares), others=others)["features"]
    assert len(features) == len(squares) + 2
    assert features[-2:] == others


@pytest.mark.parametrize("name", ["a.geojson", "a.geojson.gz"])
def test_no_gland_is_a_valid_empty_collection(tmp_path: Path, name: str) -> None:
    assert write(tmp_path / name, [])["features"] == []


def test_bytes_are_the_same_twice_and_gzip_holds_the_same_text(tmp_path: Path, trace: Trace) -> None:
    glands = trace_noise(trace, 40)
    for name in ("a.geojson", "b.geojson", "a.geojson.gz", "b.geojson.gz"):
        write(tmp_path / name, glands)
    plain, packed = (tmp_path / "a.geojson").read_bytes(), (tmp_path / "a.geojson.gz").read_bytes()
    assert plain == (tmp_path / "b.geojson").read_bytes()
    assert packed == (tmp_path / "b.geojson.gz").read_bytes()
    assert gzip.decompress(packed) == plain


def test_not_a_number_is_never_written(tmp_path: Path) -> None:
    (gland,) = wrap(RING)
    write_geojson(
        tmp_path / "a.geojson",
        [gland],
        [replace(measure(gland), filled_solidity=math.nan)],
        l0_per_px=2.0,
        metadata={},
    )
    text = (tmp_path / "a.geojson").read_text(encoding="utf-8")
    assert "NaN" not in text
    assert "solidity" not in text


def test_outlines_mask_and_table_agree(tmp_path: Path, trace: Trace) -> None:
    y, x = np.mgrid[:200, :200]
    waves = (127.5 + 127 * np.sin(x / 9) * np.sin(y / 11)).astype(np.uint8)
    glands = trace(waves, um_per_px=0.5, min_gland_um2=20, min_lumen_um2=5)
    features = write(tmp_path / "a.geojson", glands)["features"]
    rows = [measure(gland) for gland in glands]
    with write_csv(tmp_path / "a.csv", "a") as write_row:
        for row in rows:
            write_row(row)
    lines = (tmp_path / "a.csv").read_text(encoding="utf-8").splitlines()[1:]
    assert [line.split(",")[1] for line in lines] == [feature["id"] for feature in features]
    with TileMap(tmp_path / "mask", 200, 200) as mask:
        for gland in glands:
            draw_gland(gland, mask)
        area_px = np.count_nonzero(mask.read(0, 0, 200, 200))
    assert sum(row.area_um2 for row in rows) == pytest.approx(area_px * 0.25, rel=0.01)
    assert sum(shape(feature["geometry"]).area for feature in features) == pytest.approx(
        sum(row.area_px_l0 for row in rows), rel=1e-3
    )


def test_measurements_of_other_glands_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="shorter"):
        write_geojson(tmp_path / "a.geojson", wrap(RING), [], l0_per_px=1.0, metadata={})
