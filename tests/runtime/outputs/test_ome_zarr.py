"""OME-Zarr that the format's own models accept, with the px of mask and table."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from shapely import Polygon, box

from glandseg.runtime.glands.store import Gland
from glandseg.runtime.maps.label_map import LabelMap
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs import ome_zarr
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.ome_zarr import write_zarr

zarr = pytest.importorskip("zarr", reason='needs pip install "glandseg[zarr]"')
MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]
LayMap = Callable[[NDArray[Any]], TileMap]
PLANE = SimpleNamespace(um_per_px=1.3, l0_per_px=2.0, width_px=1400, height_px=1101)
SQUARES = [box(100, 100, 300, 200), box(300, 100, 500, 200), box(1040, 1000, 1400, 1101)]


def wrap(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


def make_clouds() -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (110, 140)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (1400, 1101)), np.uint8)


@pytest.fixture
def save(tmp_path: Path, make_found: MakeFound, write: Write, lay_map: LayMap) -> Callable[..., list[str]]:
    """Return a function that writes the squares as a.zarr and returns the warnings."""

    def run(name: str = "a.zarr", *polygons: Polygon) -> list[str]:
        glands = wrap(*(polygons or SQUARES))
        found = make_found(glands, PLANE, probability=lay_map(make_clouds()))
        return write(write_zarr, tmp_path / name, found)

    return run


Save = Callable[..., list[str]]


def test_the_models_of_the_format_accept_image_and_labels(tmp_path: Path, save: Save) -> None:
    v05 = pytest.importorskip("ome_zarr_models.v05", reason="the reference models")
    assert save() == []
    root = zarr.open_group(tmp_path / "a.zarr", mode="r")
    v05.Image.from_zarr(root)
    assert v05.Labels.from_zarr(root["labels"]).attributes.ome.labels == ["glands"]
    label = v05.ImageLabel.from_zarr(root["labels/glands"])
    about = label.attributes.ome.image_label
    assert [color.label_value for color in about.colors] == [1, 2, 3]
    assert len({color.rgba for color in about.colors}) == 3


def test_labels_and_probability_are_read_back(tmp_path: Path, save: Save) -> None:
    save()
    root = zarr.open_group(tmp_path / "a.zarr", mode="r")
    expected = np.zeros((1101, 1400), np.uint32)
    for number, square in enumerate(SQUARES, 1):
        left, top, right, bottom = map(int, square.bounds)
        expected[top:bottom, left:right] = number
    assert np.array_equal(root["labels/glands/0"][:], expected)
    assert np.array_equal(root["0"][:], make_clouds())
    assert root["labels/glands/0"].dtype == np.uint32
    assert root["labels/glands/0"].shards == (1024, 1024)
    properties = root["labels/glands"].attrs["ome"]["image-label"]["properties"]
    assert [item["label-value"] for item in properties] == [1, 2, 3]
    assert properties[0]["area_um2"] == pytest.approx(20_000 * 1.3**2)


def test_every_level_lies_where_its_transformation_says(tmp_path: Path, save: Save) -> None:
    save()
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")["labels/glands"]
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert len(datasets) == 3
    for dataset in datasets:
        pixels = group[dataset["path"]][:]
        scale, shift = (list(item.values())[1] for item in dataset["coordinateTransformations"])
        rows, columns = np.nonzero(pixels == 1)
        middle_um = [i.mean() * s + t for i, s, t in zip((rows, columns), scale, shift, strict=True)]
        assert middle_um == pytest.approx([149.5 * 1.3, 199.5 * 1.3], abs=scale[0] / 2)
        assert set(np.unique(pixels)) == {0, 1, 2, 3}


def test_the_most_frequent_number_is_kept() -> None:
    parts = [
        np.array(part, np.uint32)
        for part in ([1, 0, 7, 1, 1], [1, 3, 2, 2, 2], [2, 3, 2, 3, 2], [2, 0, 9, 4, 3])
    ]
    assert ome_zarr._choose_most_frequent(parts).tolist() == [1, 0, 2, 1, 2]
    assert ome_zarr._choose_most_frequent(parts[:2]).tolist() == [1, 0, 7, 1, 1]


def test_many_glands_have_no_measurements_and_that_is_told(
    tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ome_zarr, "MAX_PROPERTIES", 2)
    (warning,) = save()
    assert "a.zarr has no measurements" in warning
    group = zarr.open_group(tmp_path / "a.zarr", mode="r")["labels/glands"]
    assert "properties" not in group.attrs["ome"]["image-label"]
    assert group["0"][1050, 1050] == 3


def list_bytes(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def test_bytes_are_the_same_twice_and_an_unfinished_folder_is_replaced(tmp_path: Path, save: Save) -> None:
    (tmp_path / "b.zarr" / "old").mkdir(parents=True)
    (tmp_path / "b.zarr" / "old" / "part").touch()
    save("a.zarr")
    save("b.zarr")
    assert list_bytes(tmp_path / "a.zarr") == list_bytes(tmp_path / "b.zarr")


def test_empty_shards_take_no_file(tmp_path: Path, save: Save) -> None:
    save("a.zarr", SQUARES[0])
    names = list_bytes(tmp_path / "a.zarr")
    assert "labels/glands/0/c/0/0" in names
    assert "labels/glands/0/c/1/1" not in names


def test_a_label_map_clips_and_keeps_large_numbers(tmp_path: Path) -> None:
    with LabelMap(tmp_path / "map", (20, 300)) as labels:
        labels.draw(box(250, 10, 400, 40), 70_000)
        assert labels.read(0, 0, 20, 300)[10:, 250:].tolist() == [[70_000] * 50] * 10
        assert np.count_nonzero(labels.read(0, 0, 20, 300)) == 500
