"""Tags that cannot be true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.tiff_checks import find_layout_problem
from glandseg.slides.formats.tiff_layout import SegmentLayout
from glandseg.slides.open import open_slide
from tests.slides.formats.tiff_files import write_tiff

DEFLATE: dict[str, Any] = {"photometric": "rgb", "compression": "deflate"}
TILED: dict[str, Any] = {**DEFLATE, "tile": (64, 64)}


def find(path: Path) -> str | None:
    with tifffile.TiffFile(path) as tiff:
        return find_layout_problem(tiff.pages.first)


@pytest.mark.parametrize(
    "how",
    [TILED, DEFLATE, {**DEFLATE, "rowsperstrip": 7}, {"photometric": "rgb"}, {**TILED, "tile": (256, 512)}],
)
def test_sound_tags_pass(tmp_path: Path, how: dict[str, Any]) -> None:
    assert find(write_tiff(tmp_path / "a.tif", **how)) is None


@pytest.mark.parametrize("how", [TILED, {**DEFLATE, "rowsperstrip": 8}])
@pytest.mark.parametrize("length", [7, 100, 65_535, 2**32 - 1])
def test_a_height_that_the_list_of_tiles_does_not_bear_out(
    tmp_path: Path, how: dict[str, Any], length: int
) -> None:
    problem = find(write_tiff(tmp_path / "a.tif", tags={257: length}, **how))
    assert problem is not None
    assert f"300 x {length:,} px" in problem
    assert "but list" in problem


@pytest.mark.parametrize(("code", "value"), [(256, 60_000), (256, 40), (322, 16), (322, 65_536), (323, 1)])
def test_other_sizes_of_tiles(tmp_path: Path, code: int, value: int) -> None:
    assert "but list" in str(find(write_tiff(tmp_path / "a.tif", tags={code: value}, **TILED)))


def test_raw_px_must_lie_in_the_file(tmp_path: Path) -> None:
    path = write_tiff(
        tmp_path / "a.tif", tags={256: 2**31, 279: 2**32 - 1}, photometric="rgb", rowsperstrip=200
    )
    assert "bytes each, but list" in str(find(path))


def write_sparse(path: Path, tiles: list[bytes], side: int, tile: int = 256) -> Path:
    tifffile.imwrite(
        path, iter(tiles), shape=(side, side, 3), dtype=np.uint8, **{**TILED, "tile": (tile, tile)}
    )
    return path


def test_a_sparse_slide_must_store_something(tmp_path: Path) -> None:
    one = bytes(tifffile.TIFF.COMPRESSORS[8](bytes(256 * 256 * 3)))
    tiles = [b""] * 64
    assert "stores none" in str(find(write_sparse(tmp_path / "none.tif", tiles, 2048)))
    assert find(write_sparse(tmp_path / "one.tif", [one, *tiles[1:]], 2048)) is None


def test_tiles_of_a_single_px_are_too_many(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", size=(300, 300), tags={322: 1, 323: 1}, **TILED)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for code in (324, 325):
            tiff.pages.first.tags[code].overwrite([8] * 90_000)
    assert "tiles are 1 x 1 px" in str(find(path))


def test_no_px_at_all(tmp_path: Path) -> None:
    assert "0 x 200 px" in str(find(write_tiff(tmp_path / "a.tif", tags={256: 0}, **TILED)))


def test_what_reading_holds_in_memory(tmp_path: Path) -> None:
    held = {}
    for name, how in {
        "raw": {"photometric": "rgb"},
        "strip": {**DEFLATE, "rowsperstrip": 200},
        "tiles": TILED,
    }.items():
        with tifffile.TiffFile(write_tiff(tmp_path / f"{name}.tif", **how)) as tiff:
            held[name] = SegmentLayout(tiff.pages.first).held_bytes
    assert held == {"raw": 0, "strip": 300 * 200 * 3, "tiles": 2 * 64 * 64 * 3}


def test_raw_strips_do_not_begin_within_others(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", photometric="rgb", rowsperstrip=20)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        offsets = list(tiff.pages.first.dataoffsets)
        tiff.pages.first.tags[273].overwrite([offsets[0], offsets[0], *offsets[2:]])
    assert find(path) is None  # shared
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages.first.tags[273].overwrite([offsets[0], offsets[0] + 9000, *offsets[2:]])
    assert "within others" in str(find(path))
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        tiff.pages.first.tags[273].overwrite([32, *offsets[1:]])
    assert "within the tags" in str(find(path))


HOW: dict[str, Any] = {"photometric": "rgb", "tile": (64, 64), "compression": "lzw", "predictor": True}


def damage(path: Path, code: int, at: int, value: int) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (128, 192, 3), np.uint8)
    tifffile.imwrite(path, pixels, **HOW)
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.tags[code].offset
    data = bytearray(path.read_bytes())
    data[offset + at] = value
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("code", [256, 257, 258, 259, 262, 277, 284, 317, 322, 323])
@pytest.mark.parametrize("kind", [0, 2, 5, 7, 12, 200])
def test_an_essential_tag_of_another_type_is_no_default(tmp_path: Path, code: int, kind: int) -> None:
    with pytest.raises(BadInputError, match=r"a\.tif: .*damaged"):
        open_slide(damage(tmp_path / "a.tif", code, 2, kind))


def test_a_tag_whose_values_lie_elsewhere_is_no_default(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="BitsPerSample cannot be read"):
        open_slide(damage(tmp_path / "a.tif", 258, 6, 255))
