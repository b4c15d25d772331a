"""Outputs are checked by their readers' rules: ours pass, and each fault is named with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.model.files import check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.checks.check_output import check_output
from glandseg.runtime.checks.fault import Fault
from glandseg.runtime.infer import check_outlines, infer_slide
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.synthetic import write_slide

KINDS = ("geojson", "geojson.gz", "csv", "mask", "labels", "probability", "overlay", "parquet", "zarr")
SQUARE = [[0, 0], [9, 0], [9, 9], [0, 9], [0, 0]]
UUIDS = [f"6c1a0000-0000-4000-8000-{number:012d}" for number in range(9)]


@pytest.fixture(scope="module")
def outputs(
    red_model: Path, draw_disks: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> OutputPaths:
    """All outputs of a slide with a gland that has a lumen, and two others."""
    pytest.importorskip("pyarrow", reason="the extra parquet")
    pytest.importorskip("zarr", reason="the extra zarr")
    folder = tmp_path_factory.mktemp("outputs")
    disks = [(300.0, 300.0, 120.0), (700.0, 300.0, 90.0), (0.0, 700.0, 90.0)]
    write_slide(folder / "a.tif", draw_disks(1000, 900, disks, [(300.0, 300.0, 40.0)]), 1.4)
    with CpuSession(red_model, threads=1) as session:
        settings = InferSettings(write=KINDS)
        infer_slide(folder / "a.tif", session, check_model(red_model, "--model"), settings)
    return OutputPaths(folder, "a", KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_has_no_fault(outputs: OutputPaths, kind: str) -> None:
    assert list(check_output(outputs[outputs.outputs[kind].suffix])) == []


def make(
    ring: Any = None, identity: str = UUIDS[0], kind: str = "Polygon", **properties: Any
) -> dict[str, Any]:
    return {
        "type": "Feature",
        "id": identity,
        "geometry": {"type": kind, "coordinates": [ring or SQUARE] if kind == "Polygon" else ring},
        "properties": {
            "objectType": "annotation",
            "classification": {"name": "Gland", "color": [0, 200, 83]},
            "measurements": {"Area um^2": 3.0},
            **properties,
        },
    }


def check_features(path: Path, features: list[Any]) -> list[str]:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return [str(fault) for fault in check_output(path)]


def test_a_good_feature_has_no_fault(tmp_path: Path) -> None:
    pair = [[SQUARE], [[[20, 0], [29, 0], [29, 9], [20, 0]]]]
    features = [
        make(),
        make(pair, UUIDS[1], "MultiPolygon"),
        make(identity=UUIDS[2], measurements={"a": "NaN"}),
    ]
    assert check_features(tmp_path / "a.geojson", features) == []


@pytest.mark.parametrize(
    ("feature", "message"),
    [
        (make([[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]), "is not a valid polygon (Self-intersection"),
        (make([[0, 0], [9, 0], [9, 9], [0, 9]]), "has a ring that is not closed"),
        (make([[0, 0], [9, 0], [0, 0]]), "has fewer than three corners"),
        (make([[0, 0], [9, 0], [18, 0], [0, 0]]), "is not a valid polygon"),
        (make([[0, 0], [0.004, 0], [0.004, 0.004], [0, 0]]), "is not a valid polygon"),
        (make([SQUARE], kind="MultiPolygon"), "has a ring that is not closed"),
        (make([[SQUARE]], kind="MultiPolygon"), "is a MultiPolygon of one polygon"),
        (make([], kind="GeometryCollection"), "is a GeometryCollection"),
        (make(identity="7"), "has the id '7', which is no UUID"),
        (make(objectType="Gland"), "has the objectType 'Gland'"),
        (make(classification={"name": "Gland"}), "has a classification without name and color"),
        (make(measurements={"Area": "large"}), "has the measurement 'Area' that is no number"),
        ({"type": "Feature", "id": UUIDS[0], "properties": {}}, "has no geometry"),
        ("text", "is no Feature"),
    ],
)
def test_each_fault_of_a_feature_is_named(tmp_path: Path, feature: Any, message: str) -> None:
    other = make(identity=UUIDS[5])
    found = check_features(tmp_path / "a.geojson", [other, feature])
    assert found
    assert all(text.startswith("feature 2 ") for text in found)
    assert any(message in text for text in found)


def test_an_id_that_repeats_is_a_fault(tmp_path: Path) -> None:
    assert check_features(tmp_path / "a.geojson", [make(), make()]) == [
        f"feature 2 has the id {UUIDS[0]} of an earlier one"
    ]


@pytest.mark.parametrize("text", ["", "{", "[NaN]", '{"type":"FeatureCollection","features":[\n{"type":"Fea'])
def test_what_is_no_geojson_is_said(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.geojson").write_text(text, encoding="utf-8")
    assert "is not GeoJSON" in str(next(iter(check_output(tmp_path / "a.geojson"))))


def test_a_file_that_was_cut_off_is_a_fault(outputs: OutputPaths, tmp_path: Path) -> None:
    text = outputs[".glands.geojson"].read_bytes()
    for name, data in (("a.geojson", text[:-4]), ("a.geojson.gz", gzip.compress(text)[:-40])):
        (tmp_path / name).write_bytes(data)
        assert list(check_output(tmp_path / name))
    data = outputs[".mask.ome.tif"].read_bytes()
    (tmp_path / "a.ome.tif").write_bytes(data[: len(data) // 2])
    assert list(check_output(tmp_path / "a.ome.tif"))


def test_a_table_with_a_text_for_a_number(outputs: OutputPaths, tmp_path: Path) -> None:
    lines = outputs[".glands.csv"].read_text(encoding="utf-8").splitlines()
    cells = lines[2].split(",")
    wrong = [*lines[:2], ",".join([*cells[:3], "large", *cells[4:]]), lines[1], lines[3] + ",1"]
    (tmp_path / "a.csv").write_text("\n".join(wrong) + "\n", encoding="utf-8")
    texts = [str(fault) for fault in check_output(tmp_path / "a.csv")]
    assert texts[0] == "line 3 has in column area_um2 no number: 'large'"
    assert "line 4 has the id" in texts[1]
    assert "cells, and the header" in texts[2]
    (tmp_path / "b.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    assert [str(fault) for fault in check_output(tmp_path / "b.csv")] == ["the header lacks the column slide"]


def test_a_tiff_whose_xml_is_of_another_image(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, np.zeros((64, 48), np.uint8), tile=(16, 16), metadata={"axes": "YX"}, ome=True)
    assert [fault.text for fault in check_output(path)] == [
        "states no physical size, so that nothing can be measured"
    ]
    text = tifffile.TiffFile(path).ome_metadata or ""
    tifffile.tiffcomment(path, text.replace('SizeX="48"', 'SizeX="47"').encode())
    assert Fault("OME-XML", "says SizeX 47, and the image has 48") in list(check_output(path))


def test_a_zarr_without_one_of_its_levels(outputs: OutputPaths, tmp_path: Path) -> None:
    folder = tmp_path / "a.zarr"
    folder.mkdir()
    assert [str(fault) for fault in check_output(folder)] == ["zarr.json is missing or no JSON"]
    source = outputs[outputs.outputs["zarr"].suffix]
    (folder / "zarr.json").write_bytes((source / "zarr.json").read_bytes())
    assert any("is listed and no array" in fault.text for fault in check_output(folder))


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    (tmp_path / "a.txt").touch()
    with pytest.raises(BadInputError, match="is not checked; known are .geojson"):
        check_output(tmp_path / "a.txt")
    with pytest.raises(BadInputError, match="there is no such file"):
        check_output(tmp_path / "a.csv")


def test_outlines_that_qupath_would_reject_are_no_success(tmp_path: Path) -> None:
    path = tmp_path / "a.glands.geojson"
    check_features(path, [make([[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]])])
    with pytest.raises(GlandsegError, match="a.glands.geojson: feature 1 is not a valid polygon"):
        check_outlines(OutputPaths(tmp_path, "a", ("geojson",)))
