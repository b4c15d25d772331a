"""Tags against the first tile or strip."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide
from tests.slides.formats.tiff_files import write_tiff

CODECS = ["lzw", "deflate", "packbits", "lzma", "zstd", "jpeg", "webp"]


@pytest.mark.parametrize("compression", CODECS)
@pytest.mark.parametrize("how", [{"rowsperstrip": 16}, {"rowsperstrip": 200}, {"tile": (64, 64)}])
def test_sound_files_open(tmp_path: Path, compression: str, how: dict[str, Any]) -> None:
    open_slide(write_tiff(tmp_path / "a.tif", {}, compression=compression, **how)).close()


@pytest.mark.parametrize("compression", [*CODECS, None])
@pytest.mark.parametrize("width", [150, 299, 301, 600])
@pytest.mark.parametrize("rows", [16, 200])
def test_a_damaged_width_of_strips_is_refused(
    tmp_path: Path, compression: str, width: int, rows: int
) -> None:
    path = write_tiff(tmp_path / "a.tif", {256: width}, compression=compression, rowsperstrip=rows)
    with pytest.raises(BadInputError, match=r"tags say .*damaged"):
        open_slide(path)


@pytest.mark.parametrize("compression", ["lzw", "deflate", "lzma", "zstd", None])
def test_a_damaged_height_of_one_strip_is_refused(tmp_path: Path, compression: str) -> None:
    path = write_tiff(tmp_path / "a.tif", {257: 100, 278: 100}, compression=compression, rowsperstrip=200)
    with pytest.raises(BadInputError, match=r"tags say .*damaged"):
        open_slide(path)


def test_a_damaged_tile_is_left_to_reading(tmp_path: Path) -> None:
    path = write_tiff(tmp_path / "a.tif", {}, compression="deflate", tile=(64, 64))
    with tifffile.TiffFile(path) as tiff:
        offset = tiff.pages.first.dataoffsets[0]
    data = bytearray(path.read_bytes())
    data[offset : offset + 50] = bytes(50)
    path.write_bytes(data)
    with open_slide(path) as slide, pytest.raises(BadInputError, match="cannot be decoded"):
        slide.read_region(0, 0, 0, 9, 9)
