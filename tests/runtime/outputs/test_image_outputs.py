"""Probability and overlay: the same pixels for every reader, at every level."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from shapely import Point, Polygon, box

from glandseg.runtime.glands.store import Gland
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs import overlay_tiff
from glandseg.runtime.outputs.geojson import GLAND_RGB
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.overlay_tiff import write_overlay
from glandseg.runtime.outputs.probability_tiff import write_probability
from tests.runtime.outputs.test_mask_tiff import run_bioformats

MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]
LayMap = Callable[[NDArray[Any]], TileMap]
PLANE = SimpleNamespace(um_per_px=1.3, l0_per_px=2.0, width_px=1400, height_px=1100)
RING = Polygon(box(100, 100, 900, 700).exterior, [Point(400, 400).buffer(100).exterior])


def wrap(*polygons: Polygon) -> list[Gland]:
    return [
        Gland(number=number, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)
        for number, polygon in enumerate(polygons, 1)
    ]


def read_levels(path: Path) -> list[NDArray[np.uint8]]:
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        return [level.asarray() for level in tiff.series[0].levels]


def make_clouds(height: int = 1100, width: int = 1400) -> NDArray[np.uint8]:
    noise = np.random.default_rng(0).integers(0, 256, (height // 10, width // 10)).astype(np.uint8)
    return np.asarray(cv2.resize(noise, (width, height)), np.uint8)


def test_the_probability_is_the_map_and_its_means(
    tmp_path: Path, make_found: MakeFound, write: Write, lay_map: LayMap
) -> None:
    clouds = make_clouds()
    found = make_found([], PLANE, probability=lay_map(clouds), extent_px=(1399.5, 1099.5))
    write(write_probability, tmp_path / "a.ome.tif", found)
    full, half, quarter = read_levels(tmp_path / "a.ome.tif")
    assert np.array_equal(full, clouds[:1099, :1399])
    assert (half.shape, quarter.shape) == ((549, 699), (274, 349))
    boxes = full[:1096, :1396].astype(float).reshape(274, 4, 349, 4)
    assert np.abs(quarter - boxes.mean(axis=(1, 3))).max() <= 0.5


def test_the_overlay_is_transparent_but_for_lines_on_the_outlines(
    tmp_path: Path, make_found: MakeFound, write: Write
) -> None:
    write(write_overlay, tmp_path / "a.ome.tif", make_found(wrap(RING), PLANE))
    for number, level in enumerate(read_levels(tmp_path / "a.ome.tif")):
        lines = level[..., 3] > 0
        assert level.shape == (1100 >> number, 1400 >> number, 4)
        assert not level[~lines].any()
        assert (level[lines, :3] == GLAND_RGB).all()
        rows, columns = np.nonzero(level[..., 3] > 127)
        points = np.column_stack([columns, rows]) + 0.5
        distances = [RING.boundary.distance(Point(*xy * 2**number)) / 2**number for xy in points[::7]]
        assert max(distances) <= 2.0  # a line of 3 px, on both sides of the outline
        assert np.count_nonzero(lines) > RING.length / 2**number


def test_the_overlay_is_the_same_whatever_is_drawn_together(
    tmp_path: Path, make_found: MakeFound, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = make_found(wrap(Point(500, 500).buffer(400)), PLANE)
    write(write_overlay, tmp_path / "whole.ome.tif", found)
    monkeypatch.setattr(overlay_tiff, "_PART_PX", 100.0)
    write(write_overlay, tmp_path / "parts.ome.tif", found)
    whole, parts = (read_levels(tmp_path / f"{name}.ome.tif") for name in ("whole", "parts"))
    for one, other in zip(whole, parts, strict=True):
        assert np.abs(one[..., 3].astype(int) - other[..., 3]).max() <= 64  # where parts meet
        assert np.count_nonzero(one) > 1000


def test_outlines_beyond_the_image_are_clipped(tmp_path: Path, make_found: MakeFound, write: Write) -> None:
    found = make_found(wrap(box(-50, -50, 1500, 30), box(1450, 10, 1460, 20)), PLANE)
    write(write_overlay, tmp_path / "a.ome.tif", found)
    assert read_levels(tmp_path / "a.ome.tif")[0][30, 5:-5, 3].all()


@pytest.mark.parametrize(
    ("writer", "samples", "name"), [(write_probability, "1", "Gland"), (write_overlay, "4", "Outline")]
)
def test_bioformats_reads_one_image_of_all_levels(
    writer: Any,
    samples: str,
    name: str,
    tmp_path: Path,
    make_found: MakeFound,
    write: Write,
    lay_map: LayMap,
) -> None:
    found = make_found(wrap(RING), PLANE, probability=lay_map(make_clouds()))
    write(writer, tmp_path / "a.ome.tif", found)
    told = run_bioformats("ImageInfo", "-nopix", "-noflat", "-omexml", tmp_path / "a.ome.tif")
    assert "No validation errors found" in told
    assert "Series count = 1" in told
    assert re.findall(r"sizeX\[\d\] = (\d+)", told) == ["1400", "700", "350"]
    assert re.findall(r'PhysicalSize[XY]="([^"]+)"', told) == ["1.3", "1.3"]
    assert re.findall(r'SamplesPerPixel="(\d)"', told) == [samples]
    assert f'Name="{name}"' in told


@pytest.mark.parametrize("writer", [write_probability, write_overlay])
def test_bytes_are_the_same_twice(
    writer: Any, tmp_path: Path, make_found: MakeFound, write: Write, lay_map: LayMap
) -> None:
    found = make_found(wrap(RING), PLANE, probability=lay_map(make_clouds()))
    for name in "ab":
        write(writer, tmp_path / f"{name}.ome.tif", found)
    assert (tmp_path / "a.ome.tif").read_bytes() == (tmp_path / "b.ome.tif").read_bytes()
