"""GeoJSON as people export it, and what is not GeoJSON."""

from __future__ import annotations

import gzip
import json
import os
import re
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError, show
from glandseg.runtime.annotations.geojson import read_annotations

SQUARE = {"type": "Polygon", "coordinates": [[[0, 0], [2, 0], [2, 2], [0, 2], [0, 0]]]}
FEATURE = {"type": "Feature", "geometry": SQUARE, "properties": {"classification": {"name": "Gland"}}}


def read(tmp_path: Path, content: Any, **options: int) -> list[Any]:
    path = tmp_path / "a.geojson"
    path.write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return read_annotations(path, **options)


@pytest.mark.parametrize(
    ("content", "count"),
    [
        (SQUARE, 1),
        (FEATURE, 1),
        ([FEATURE, FEATURE], 2),
        ([{"type": "FeatureCollection", "features": [FEATURE]}, FEATURE], 2),
        ({"features": [FEATURE, None]}, 1),
        ({"type": "GeometryCollection", "geometries": [SQUARE, {"type": "Point", "coordinates": [0, 0]}]}, 1),
        ({"type": "FeatureCollection", "features": []}, 0),
    ],
)
def test_wrappings(tmp_path: Path, content: Any, count: int) -> None:
    annotations = read(tmp_path, content)
    assert [each.number for each in annotations] == list(range(1, count + 1))
    assert all(each.geometry.polygons[0].area == 4 for each in annotations)


def test_a_third_coordinate_is_dropped_and_nuclei_are_passed_over(tmp_path: Path) -> None:
    deep = {"type": "Polygon", "coordinates": [[[0, 0, 5], [2, 0, 5], [2, 2], [0, 2, 5]]]}
    cell = {**FEATURE, "geometry": deep, "nucleusGeometry": SQUARE, "properties": {"objectType": "cell"}}
    (annotation,) = read(tmp_path, [cell])
    assert annotation.is_cell and annotation.geometry.polygons[0].area == 4
    assert not annotation.geometry.polygons[0].has_z


@pytest.mark.parametrize(
    ("coordinates", "fault"),
    [
        ([[[0, 0], [1, 1]]], "fewer than three corners"),
        ([[["0", "0"], ["1", "0"], ["1", "1"]]], "no polygon"),
        ([[[True, False], [True, True], [False, True]]], "no polygon"),
        ([[[0, 0], [1, None], [1, 1]]], "no polygon"),
        ([[[0, 0], [1], [1, 1]]], "no polygon"),
        ([[0, 0], [1, 1]], "no polygon"),
        ([[[0, 0], [1e300, 0], [1, 1]]], "beyond 1e.09 px"),
        ([[[0, 0], [10**400, 0], [1, 1]]], "no polygon"),
        ([[[0, 0], [float("inf"), 0], [1, 1]]], "not numbers"),
        ({"a": 1}, "no polygon"),
        (7, "no polygon"),
    ],
)
@pytest.mark.parametrize("kind", ["Polygon", "MultiPolygon"])
def test_coordinates_that_are_no_polygon(tmp_path: Path, kind: str, coordinates: Any, fault: str) -> None:
    wrapped = [coordinates] if kind == "MultiPolygon" else coordinates
    (annotation,) = read(tmp_path, {"type": kind, "coordinates": wrapped})
    assert annotation.geometry.polygons == ()
    assert re.search(fault, annotation.geometry.fault)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Expecting value"),
        (b"<?xml version='1.0'?><Annotations/>", "it is XML"),
        (b"PK\x03\x04rest", "it is a zip archive"),
        (b'{"type": "Topology", "arcs": []}', "unknown type Topology"),
        (b'[{"type": "Area", "content": [{"x": 0.5, "y": 0.5}]}]', "unknown type Area"),
        (b'{"type": "Circle", "coordinates": [1, 2]}', "unknown type Circle"),
        (b'{"type": "\x1b[31m"}', "control character"),
        (b'{"type": "\\u001b[31mx\\u202e"}', r"unknown type \[31mx\)"),
        (b'{"annotation": {"location": "POLYGON((0 0, 1 1))"}}', "no Feature and no geometry"),
        (b'{"features": 3}', "its features are no list"),
        (b"7", "no Feature and no geometry"),
        (b"1" * 5000, "digits"),
        (b'"\xe9"', "utf-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a":' * 100_000, "nested too deeply"),
        (b"[" * 900 + b"]" * 900, None),
        (gzip.compress(b"[]", mtime=0)[:-9], "end-of-stream"),
        (b"\x1f\x8b\x08rubbish", "."),
    ],
)
def test_what_is_not_geojson_is_told_in_one_line(tmp_path: Path, content: bytes, told: str | None) -> None:
    if told is None:
        assert read(tmp_path, content) == []
        return
    with pytest.raises(BadInputError, match=rf"a\.geojson: is not GeoJSON \(.*{told}.*\. Draw") as caught:
        read(tmp_path, content)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("packed", [False, True])
def test_large_files_are_refused_unpacked_or_not(tmp_path: Path, packed: bool) -> None:
    text = b"[" + b" " * (1 << 20) + b"]"
    with pytest.raises(BadInputError, match="more than 1 MiB of GeoJSON. Export the regions alone"):
        read(tmp_path, gzip.compress(text) if packed else text, max_bytes=1 << 20)


def test_memory_that_is_not_enough_is_the_files_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(json, "loads", fail)
    with pytest.raises(BadInputError, match="MemoryError"):
        read(tmp_path, SQUARE)


def test_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "pipe"):
        with pytest.raises(BadInputError, match=r"is a (folder|named pipe)"):
            read_annotations(path)


def test_names_are_shown_without_control_characters() -> None:
    assert show("a\x1b[0m\r\nb\u202e\u2028c") == "a [0m b c"


@pytest.mark.shared
def test_what_people_exported_is_read_or_told(shared_data: Path) -> None:
    for path in sorted(path for path in (shared_data / "annotations").rglob("*.*") if path.is_file()):
        exported = path.suffix == ".geojson" or path.name.startswith(("qupath", "geojson"))
        if exported:
            assert read_annotations(path)
        else:
            with pytest.raises(BadInputError, match="is not GeoJSON"):
                read_annotations(path)
