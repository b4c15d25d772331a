"""GeoParquet that geopandas reads, with the contours of the GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
import shapely
from shapely import Polygon, box
from shapely.geometry import shape

from glandseg.runtime.glands.measurements import QUANTITIES
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.outputs import parquet
from glandseg.runtime.outputs.geojson import write_geojson
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.parquet import write_parquet

pq = pytest.importorskip("pyarrow.parquet", reason='needs pip install "glandseg[parquet]"')
MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]
RING = Polygon(box(10, 10, 60, 60).exterior, [box(20, 20, 40, 40).exterior])
BOW = Polygon([(100, 100), (120, 120), (120, 100), (100, 120)])  # crosses itself: two parts once valid


def list_glands(polygons: Iterable[Polygon] = (RING, BOW), lumen: float = 0.25) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.75, lumen_fraction=lumen)
        for number, polygon in enumerate(polygons, 1)
    ]


def test_geopandas_reads_contours_in_px_and_um(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    geopandas = pytest.importorskip("geopandas", reason="the reference reader")
    write(write_parquet, tmp_path / "a.parquet", make_found(list_glands(), name="µ slide"))
    frame = geopandas.read_parquet(tmp_path / "a.parquet")
    assert frame.crs is None
    assert frame.geometry.is_valid.all()
    assert frame.geometry[0].equals(shapely.transform(RING, lambda xy: xy * 2))
    assert frame.geometry_um[0].equals(shapely.transform(RING, lambda xy: xy * 0.5))
    assert frame.geometry[0].exterior.is_ccw
    assert frame.geometry.area[0] == frame.area_px_l0[0] == 8400
    assert frame.slide.tolist() == ["µ slide"] * 2
    part = geopandas.read_parquet(tmp_path / "a.parquet", bbox=(190, 190, 300, 300))
    assert part.number.tolist() == [2]


def test_the_contours_are_those_of_the_geojson(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    found = make_found(list_glands())
    write(write_parquet, tmp_path / "a.parquet", found)
    write(write_geojson, tmp_path / "a.geojson", found)
    features = json.loads((tmp_path / "a.geojson").read_text(encoding="utf-8"))["features"]
    rows = pq.read_table(tmp_path / "a.parquet").to_pylist()
    assert [row["id"] for row in rows] == [feature["id"] for feature in features]
    for row, feature in zip(rows, features, strict=True):
        assert shapely.from_wkb(row["geometry"]).equals(shape(feature["geometry"]))
        assert tuple(row["bbox"].values()) == shape(feature["geometry"]).bounds
        measured = {QUANTITIES[name][0]: row[name] for name in QUANTITIES if row[name] is not None}
        assert measured == feature["properties"]["measurements"]


def test_metadata_follow_the_specification(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    write(write_parquet, tmp_path / "a.parquet", make_found(list_glands(), metadata={"format": "png"}))
    metadata = pq.read_metadata(tmp_path / "a.parquet").metadata
    geo = json.loads(metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert (column["encoding"], column["crs"]) == ("WKB", None)
    assert column["geometry_types"] == ["MultiPolygon", "Polygon"]
    assert column["bbox"] == [20, 20, 240, 240]
    assert geo["columns"]["geometry_um"]["bbox"] == [5, 5, 60, 60]
    assert json.loads(metadata[b"glandseg"])["format"] == "png"


def test_rows_are_written_in_groups_and_twice_the_same(
    tmp_path: Path, make_found: MakeFound, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parquet, "GROUP_ROWS", 2)
    found = make_found(list_glands([RING] * 5))
    for name in "ab":
        write(write_parquet, tmp_path / name, found)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert pq.ParquetFile(tmp_path / "a").num_row_groups == 3


def test_what_is_not_finite_is_null(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    write(write_parquet, tmp_path / "a", make_found(list_glands([RING], lumen=float("nan"))))
    assert pq.read_table(tmp_path / "a")["lumen_fraction"].to_pylist() == [None]


def test_no_gland_is_a_table_without_rows(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    write(write_parquet, tmp_path / "a", make_found([]))
    assert pq.read_table(tmp_path / "a").num_rows == 0
    assert "bbox" not in json.loads(pq.read_metadata(tmp_path / "a").metadata[b"geo"])["columns"]["geometry"]
