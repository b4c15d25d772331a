"""What codecs' headers announce."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import imagecodecs
import numpy as np
import pytest

from glandseg.slides.formats.codec_size import SIZE_READERS

ENCODERS: dict[str, tuple[int, Callable[..., Any], dict[str, Any]]] = {
    "jpeg": (7, imagecodecs.jpeg_encode, {}),
    "jpeg 2000": (34712, imagecodecs.jpeg2k_encode, {"codecformat": "J2K"}),
    "jp2": (33005, imagecodecs.jpeg2k_encode, {"codecformat": "JP2"}),
    "webp lossy": (50001, imagecodecs.webp_encode, {"level": 80}),
    "webp lossless": (50001, imagecodecs.webp_encode, {"lossless": True}),
    "jpeg xl": (50002, imagecodecs.jpegxl_encode, {}),
    "jpeg xl in boxes": (50002, imagecodecs.jpegxl_encode, {"usecontainer": True}),
    "jpeg xr": (34934, imagecodecs.jpegxr_encode, {}),
    "png": (34933, imagecodecs.png_encode, {}),
    "lerc": (34887, imagecodecs.lerc_encode, {}),
}


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize(("width", "height"), [(64, 48), (53, 37), (300, 17)])
def test_the_size_is_read_as_it_was_written(kind: str, width: int, height: int) -> None:
    compression, encode, options = ENCODERS[kind]
    data = bytes(encode(np.zeros((height, width, 3), np.uint8), **options))
    size = SIZE_READERS[compression](data)
    assert (size.width, size.height) == (width, height)
    assert size.components in {0, 3}


def test_webp_with_alpha_announces_its_canvas() -> None:
    rgba = np.full((40, 90, 4), 7, np.uint8)
    size = SIZE_READERS[50001](bytes(imagecodecs.webp_encode(rgba, level=80)))
    assert (size.width, size.height) == (90, 40)


def test_a_canvas_or_a_image_on_it_counts_whichever_is_larger() -> None:
    data = bytearray(imagecodecs.webp_encode(np.zeros((16, 16, 3), np.uint8), lossless=True))
    canvas = b"VP8X" + struct.pack("<II", 10, 0) + (16_000).to_bytes(3, "little") + (9).to_bytes(3, "little")
    size = SIZE_READERS[50001](bytes(data[:12]) + canvas + bytes(data[12:]))
    assert (size.width, size.height) == (16_001, 16)


def test_a_jpegs_thumbnail_is_not_its_size() -> None:
    data = bytes(imagecodecs.jpeg_encode(np.zeros((48, 64, 3), np.uint8)))
    thumbnail = bytes(imagecodecs.jpeg_encode(np.zeros((8, 8, 3), np.uint8)))
    exif = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 2) + thumbnail
    size = SIZE_READERS[7](data[:2] + exif + data[2:])
    assert (size.width, size.height) == (64, 48)


@pytest.mark.parametrize("compression", sorted(SIZE_READERS))
@pytest.mark.parametrize(
    "data", [b"", b"\0" * 64, b"\xff" * 64, b"RIFF\0\0\0\0WEBP", b"\xff\xd8\xff\xda" * 9]
)
def test_what_is_no_image_is_said_to_be_none(compression: int, data: bytes) -> None:
    with pytest.raises(ValueError, match="a[n]? "):
        SIZE_READERS[compression](data)
