"""Regions corrected in QuPath become a data set, a part of them held out."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
import shapely

from glandseg.core.errors import BadInputError
from glandseg.synthetic import write_slide
from glandseg.training.data.annotated_regions import AnnotatedRegions
from glandseg.training.data.corrected_regions import read_corrected_regions
from glandseg.training.data.corrections import cut_corrections, find_corrected_slides
from glandseg.training.data.datasets import find_samples
from tests.training.data.test_annotated_regions import box, make_feature, write_features

UM_PER_PX = 1.0
SIDE = 260  # of a region, in um and px


def measure(regions: list[AnnotatedRegions]) -> list[tuple[float, float]]:
    return [
        (sum(part.area for part in each.gland), sum(part.area for part in each.non_gland)) for each in regions
    ]


def read(tmp_path: Path, *features: dict[str, object]) -> list[AnnotatedRegions]:
    return read_corrected_regions(write_features(tmp_path / "a.geojson", features))


def test_a_region_without_glands_is_background(tmp_path: Path) -> None:
    assert measure(read(tmp_path, make_feature("Region*", [box(0, 0, 10, 10)]))) == [(0, 100)]


def test_glands_count_inside_regions_only_and_lumina_are_filled(tmp_path: Path) -> None:
    regions = read(
        tmp_path,
        make_feature("Region*", [box(0, 0, 100, 100)]),
        make_feature("Gland", [box(10, 10, 30, 30), box(15, 15, 20, 20)]),
        make_feature("Gland", [box(90, 10, 110, 30)]),
        make_feature("Gland", [box(200, 200, 210, 210)]),
        make_feature("Immune cells", [box(50, 50, 60, 60)]),
    )
    assert measure(regions) == [(600, 9400)]


def test_a_px_belongs_to_one_region(tmp_path: Path) -> None:
    regions = read(
        tmp_path,
        make_feature("Region*", [box(0, 0, 10, 10)]),
        make_feature("Region", [box(5, 0, 15, 10)]),
        make_feature("Region*", [box(50, 0, 60, 10)]),
        make_feature("Ignore*", [box(55, 0, 70, 10)]),
    )
    assert measure(regions) == [(0, 100), (0, 50), (0, 50)]


def test_glands_that_touch_stay_apart(tmp_path: Path) -> None:
    (region,) = read(
        tmp_path,
        make_feature("Region*", [box(0, 0, 100, 100)]),
        make_feature("Gland", [box(10, 10, 30, 30)]),
        make_feature("Gland", [box(30, 10, 50, 30)]),
        make_feature("Gland", [box(70, 10, 90, 30)]),
    )
    assert len(region.gland) == 3
    assert shapely.union_all(region.gland).area == pytest.approx(1200, rel=0.06)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([make_feature("Gland", [box(0, 0, 9, 9)])], r"no region is marked \(found: 1 of class Gland\)"),
        ([], r"no region is marked \(found: no features\)"),
        ([make_feature("Region*", [[0, 0], [9, 9]], "LineString")], "is a LineString, regions are polygons"),
        (
            [
                make_feature("Region*", [box(0, 0, 9, 9)]),
                make_feature("Gland", [[[0, 0], [9, 9], [9, 0], [0, 9], [0, 0]]]),
            ],
            "feature 2 .Gland. is not a valid polygon",
        ),
    ],
)
def test_what_cannot_be_learned_from(tmp_path: Path, features: list[dict[str, object]], message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        read(tmp_path, *features)


def write_corrected_slide(folder: Path, name: str, regions: int, side: int = SIDE) -> Path:
    """Write a slide of dark tissue with a gland in each of its regions, and their corrections."""
    folder.mkdir(exist_ok=True)
    image = np.full((400, 300 * regions, 3), 150, np.uint8)
    features = []
    for number in range(regions):
        left = 300 * number
        features.append(make_feature("Region*", [box(left, 0, left + side, side)]))
        features.append(make_feature("Gland", [box(left + 20, 20, left + 120, 120)]))
    write_slide(folder / f"{name}.tif", image, UM_PER_PX)
    write_features(folder / f"{name}.geojson", features)
    return folder / f"{name}.tif"


def test_regions_become_a_data_set(tmp_path: Path) -> None:
    write_corrected_slide(tmp_path / "in", "a", 4)
    write_corrected_slide(tmp_path / "in", "b", 2)
    cut_corrections(find_corrected_slides([tmp_path / "in"]), tmp_path / "out", 1.0, say=print)
    with (tmp_path / "out" / "index.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    parts = {row["patient"]: row["part"] for row in rows}
    assert parts == {
        "a-1": "train", "a-2": "test", "a-3": "train", "a-4": "train", "b-1": "train", "b-2": "test"
    }  # fmt: skip
    data_set = find_samples(tmp_path / "out")
    assert (data_set.kind, data_set.um_per_px) == ("outlines", 1.0)
    first = next(sample for sample in data_set.samples if sample.group == "a-1")
    mask = first.read_mask()
    assert mask.shape == (230, 230)
    assert np.array_equal(np.flatnonzero(mask.any(axis=0))[[0, -1]], [20, 119])


def test_a_patch_is_read_at_the_models_resolution(tmp_path: Path) -> None:
    write_corrected_slide(tmp_path / "in", "a", 3)
    cut_corrections(find_corrected_slides([tmp_path / "in"]), tmp_path / "out", 2.0, say=print)
    mask = find_samples(tmp_path / "out").samples[0].read_mask()
    assert mask.shape == (115, 115)
    assert np.count_nonzero(mask) == 50 * 50


def test_regions_that_are_too_small_are_named_and_too_few_refused(tmp_path: Path) -> None:
    write_corrected_slide(tmp_path / "in", "a", 3)
    write_corrected_slide(tmp_path / "in", "b", 1, side=100)
    said: list[str] = []
    cut_corrections(find_corrected_slides([tmp_path / "in"]), tmp_path / "out", 1.0, say=said.append)
    assert len(said) == 1
    assert "b.geojson: region 1 is left out: smaller than 230 um" in said[0]
    write_corrected_slide(tmp_path / "few", "a", 2)
    with pytest.raises(BadInputError, match="2 usable regions, and 3 are needed"):
        cut_corrections(find_corrected_slides([tmp_path / "few"]), tmp_path / "out", 1.0, say=print)


def test_slides_are_found_by_folder_by_name_and_by_geojson(tmp_path: Path) -> None:
    first = write_corrected_slide(tmp_path / "in", "a", 1)
    write_corrected_slide(tmp_path / "in", "b", 1)
    for name in ("a.glands.geojson", "a.suggested.geojson"):
        (tmp_path / "in" / name).write_text("{}", encoding="utf-8")
    assert [slide.name for slide in find_corrected_slides([tmp_path / "in"])] == ["a", "b"]
    for path in (first, first.with_suffix(".geojson")):
        assert [slide.path for slide in find_corrected_slides([path, path])] == [first]
    with pytest.raises(BadInputError, match="no such file or folder"):
        find_corrected_slides([tmp_path / "none"])
    (tmp_path / "in" / "c.tif").touch()
    with pytest.raises(BadInputError, match="c.tif: no GeoJSON of its corrections beside it"):
        find_corrected_slides([tmp_path / "in" / "c.tif"])
