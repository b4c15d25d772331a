"""What OpenSlide overlooks in a vendor's TIFF."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from glandseg.core.errors import BadInputError
from glandseg.slides.formats.vendor_checks import check_plausible
from glandseg.slides.open import open_slide
from glandseg.slides.slide import UnreadableError
from tests.slides.formats.tiff_files import overwrite_tag

SIDE, TILE = 512, 128
DESCRIPTION = f"Aperio Image Library v12\r\n{SIDE}x{SIDE} (128x128) RGB|AppMag = 20|MPP = 0.5"


def write_aperio(path: Path, compression: str, description: str = DESCRIPTION) -> Path:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    tifffile.imwrite(
        path,
        cv2.GaussianBlur(noise, (0, 0), 2),
        photometric="rgb",
        tile=(TILE, TILE),
        compression=compression,
        description=description,
        metadata=None,
    )
    return path


@pytest.mark.parametrize("width", [65_536, 2**31 - 1, 256])
def test_size_that_does_not_fit_the_tiles_is_refused(tmp_path: Path, width: int) -> None:
    path = overwrite_tag(write_aperio(tmp_path / "a.svs", "zlib"), "ImageWidth", width)
    with pytest.raises(BadInputError, match=r"px, which need [\d,]+ tiles, and lists 16: damaged"):
        open_slide(path)


@pytest.mark.parametrize("compression", [33007, 34712])
def test_unsupported_slides_are_not_called_damaged(tmp_path: Path, compression: int) -> None:
    path = overwrite_tag(write_aperio(tmp_path / "a.svs", "zlib"), "Compression", compression)
    with pytest.raises(BadInputError, match=rf"does not support: .*{compression}\. Export it") as told:
        open_slide(path)
    assert "amaged" not in str(told.value)


def test_whole_jpeg_tiles_are_read(tmp_path: Path) -> None:
    with open_slide(write_aperio(tmp_path / "a.svs", "jpeg")) as slide:
        assert slide.format == "aperio"
        assert slide.read_region(0, 0, 0, SIDE, SIDE).std() > 0


@pytest.mark.parametrize("name", ["a.svs", "a.tif"])
def test_damaged_jpeg_tile_is_unreadable(tmp_path: Path, name: str) -> None:
    path = write_aperio(tmp_path / name, "jpeg", DESCRIPTION if name == "a.svs" else "a copy")
    with tifffile.TiffFile(path) as tiff:
        start, size = tiff.pages.first.dataoffsets[5], tiff.pages.first.databytecounts[5]
    data = bytearray(path.read_bytes())
    middle, end = start + size // 2, start + size
    data[middle : end - 2] = data[middle + 40 : end - 2] + data[end - 42 : end - 2]
    path.write_bytes(data)
    with open_slide(path) as slide:
        assert slide.read_region(0, 0, 0, TILE, TILE).std() > 0
        with pytest.raises(UnreadableError, match="Corrupt JPEG data"):
            slide.read_region(0, 0, 0, SIDE, SIDE)
        assert slide.read_region(0, 2 * TILE, 0, TILE, TILE).std() > 0


def test_packed_tiles_called_plain_are_refused(tmp_path: Path) -> None:
    path = overwrite_tag(write_aperio(tmp_path / "a.svs", "jpeg"), "Compression", 1)
    with pytest.raises(BadInputError, match="fewer bytes than they need"):
        open_slide(path)


def test_plain_tiles_are_read(tmp_path: Path) -> None:
    with open_slide(write_aperio(tmp_path / "a.svs", "none")) as slide:
        assert slide.format == "aperio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "a.ndpi").write_bytes(bytes(10_000))
    return tmp_path / "a.ndpi"


@pytest.mark.parametrize(
    "sizes",
    [[(10_000, 10_000)], [(10_000, 8_000), (5_000, 4_001)], [(9_000, 4_000), (512, 512), (1, 1)][::2]],
)
def test_true_sizes_pass(path: Path, sizes: list[tuple[int, int]]) -> None:
    check_plausible(path, sizes)


def test_size_beyond_the_file_is_refused(path: Path) -> None:
    with pytest.raises(BadInputError, match="more than its 10,000 bytes can hold"):
        check_plausible(path, [(2**30, 4_000)])


def test_levels_out_of_proportion_are_refused(path: Path) -> None:
    with pytest.raises(BadInputError, match="not in proportion"):
        check_plausible(path, [(65_536, 3_000), (1_110, 1_483)])
