"""Training reads pixels as inference does, and refuses by the header what it cannot read safely."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.sample import Sample

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def read_as_slide(path: Path) -> NDArray[np.uint8]:
    with open_slide(path, 1.0) as slide:
        return slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0)


def write_png_header(path: Path, width: int, height: int) -> Path:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    end = chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + end)
    return path


@pytest.mark.parametrize("codec", ["zlib", "jpeg2000", "jpegxl", "png", "lzw", "webp"])
def test_every_codec_of_inference_is_read(tmp_path: Path, codec: str) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(16, 16), compression=codec)
    read = read_rgb(path)
    np.testing.assert_array_equal(read, read_as_slide(path))
    assert np.abs(read.astype(int) - PIXELS).mean() < 60 and read.std() > 30


def test_a_damaged_tile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(16, 16), compression="zlib")
    with tifffile.TiffFile(path) as tiff:
        at, count = tiff.pages[0].dataoffsets[2], tiff.pages[0].databytecounts[2]
    data = bytearray(path.read_bytes())
    data[at : at + count] = bytes(count)
    path.write_bytes(data)
    with pytest.raises(BadInputError, match=r"a\.tif: .* cannot be decoded"):
        read_rgb(path)


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tif"])
def test_clear_glass_is_white(tmp_path: Path, name: str) -> None:
    opacity = np.where(np.arange(60) < 20, 0, 255) * np.ones((40, 1))
    rgba = np.dstack([PIXELS * (opacity[..., None] > 0), opacity]).astype(np.uint8)
    path = tmp_path / name
    if name.endswith("tif"):
        tifffile.imwrite(path, rgba, photometric="rgb", extrasamples=["unassalpha"])
    else:
        Image.fromarray(rgba).save(path, lossless=True)
    read = read_rgb(path)
    assert (read[:, :20] == 255).all()
    np.testing.assert_array_equal(read[:, 20:], PIXELS[:, 20:])


@pytest.mark.parametrize("orientation", [1, 2, 3, 6, 8])
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tif"])
def test_orientation_tags_are_refused_unless_upright(tmp_path: Path, name: str, orientation: int) -> None:
    path = tmp_path / name
    if name.endswith("tif"):
        tag = (274, "H", 1, orientation, True)
        tifffile.imwrite(path, PIXELS, photometric="rgb", extratags=[tag], metadata=None)
    else:
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(PIXELS).save(path, exif=exif)
    sample = Sample(name="a", path=path, mask_path=path, group="a")
    if orientation == 1:
        assert sample.read().shape == (40, 60, 3)
        return
    for read in (sample.read, sample.read_mask):
        with pytest.raises(BadInputError, match=rf"{name}: has the orientation tag {orientation}"):
            read()


@pytest.mark.parametrize("side", [10_001, 14_000, 30_000, 2**31 - 1])
def test_a_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    path = write_png_header(tmp_path / "a.png", side, side)
    sample = Sample(name="a", path=path, mask_path=path, group="a")
    for read in (sample.read, sample.read_mask):
        with pytest.raises(BadInputError, match=r"a\.png: has more than 100,000,000 px"):
            read()


def test_a_large_tiff_is_refused_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, PIXELS, photometric="rgb", tile=(16, 16))
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages[0].tags["ImageLength"].overwrite(3_000_000, dtype="I")
    with pytest.raises(BadInputError, match="has more than 100,000,000 px"):
        read_rgb(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    sample = Sample(name="a", path=tmp_path / "a.png", mask_path=tmp_path / "a.png", group="a")
    for read in (sample.read, sample.read_mask):
        with pytest.raises(BadInputError, match=r"a\.png: is a named pipe"):
            read()


def test_a_damaged_exif_block_is_no_orientation(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(PIXELS).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:2] + b"\xff\xe1\0\x12Exif\0\0MM\0*junk!!" + data[2:])
    assert read_rgb(path).shape == (40, 60, 3)
