"""Images whose header, alpha or data are not what they seem."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.slides.formats import image as image_slide
from glandseg.slides.formats.image_header import read_header
from glandseg.slides.open import open_slide

Pixels = NDArray[np.uint8]
SIDE = 64


def draw() -> Pixels:
    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    return np.asarray(cv2.GaussianBlur(noise, (0, 0), 2), np.uint8)


def encode(suffix: str, image: Pixels) -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def build_bmp(bgrx: Pixels, masks: tuple[int, ...]) -> bytes:
    """Build a BMP of 32 bits with bit fields; with a fourth mask the header is of the kind that has one."""
    data, fields = bgrx[::-1].tobytes(), struct.pack(f"<{len(masks)}I", *masks)
    header_size = 40 if len(masks) == 3 else 56
    start = 14 + 40 + len(fields)
    header = struct.pack("<IiiHHIIiiII", header_size, SIDE, SIDE, 1, 32, 3, len(data), 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", start + len(data), 0, 0, start) + header + fields + data


def build_png(width: int, height: int, packed: bytes) -> bytes:
    def pack(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    size = pack(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + size + pack(b"IDAT", packed) + pack(b"IEND", b"")


def read(path: Path, data: bytes) -> tuple[Pixels, tuple[str, ...]]:
    path.write_bytes(data)
    with open_slide(path) as slide:
        return slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0), slide.warnings


MASKS = (0xFF0000, 0xFF00, 0xFF)


@pytest.mark.parametrize("masks", [MASKS, (*MASKS, 0)])
def test_bmp_without_alpha_mask_is_opaque(tmp_path: Path, masks: tuple[int, ...]) -> None:
    unused = np.dstack([draw(), np.zeros((SIDE, SIDE), np.uint8)])
    rgb, warnings = read(tmp_path / "a.bmp", build_bmp(unused, masks))
    assert np.array_equal(rgb[..., ::-1], draw())
    assert not warnings


def test_bmp_with_alpha_mask_lies_on_white(tmp_path: Path) -> None:
    alpha = np.full((SIDE, SIDE), 255, np.uint8)
    alpha[:8] = 0
    rgb, _ = read(tmp_path / "a.bmp", build_bmp(np.dstack([draw(), alpha]), (*MASKS, 0xFF000000)))
    assert (rgb[:8] == 255).all()
    assert np.array_equal(rgb[8:, :, ::-1], draw()[8:])


@pytest.mark.parametrize(("clear", "warns"), [(SIDE, True), (SIDE // 2, False)])
def test_transparent_images_are_told(tmp_path: Path, clear: int, warns: bool) -> None:
    rgba = np.dstack([draw(), np.full((SIDE, SIDE), 255, np.uint8)])
    rgba[:clear, :, 3] = 0
    _, warnings = read(tmp_path / "a.png", encode(".png", rgba))
    assert any("100% of the image is transparent" in warning for warning in warnings) == warns


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("png", build_png(2**32 - 1, 2**32 - 1, zlib.compress(bytes(9)))),
        ("png", build_png(20_000, 5_000, zlib.compress(bytes(9)))),
        ("bmp", build_bmp(np.zeros((SIDE, SIDE, 4), np.uint8), MASKS)[:-1]),
    ],
)
def test_size_beyond_the_file_is_refused_before_decoding(tmp_path: Path, kind: str, data: bytes) -> None:
    (tmp_path / f"a.{kind}").write_bytes(data)
    with pytest.raises(BadInputError, match="px, more than the file can hold"):
        open_slide(tmp_path / f"a.{kind}")


@pytest.mark.parametrize("height_width", [(65_500, 65_500), (4_000, 6_000)])
def test_jpeg_size_beyond_the_file_is_refused(tmp_path: Path, height_width: tuple[int, int]) -> None:
    data = bytearray(encode(".jpg", draw()))
    place = data.index(b"\xff\xc0") + 5
    data[place : place + 4] = struct.pack(">HH", *height_width)
    (tmp_path / "a.jpg").write_bytes(data)
    with pytest.raises(BadInputError, match="px, more than the file can hold"):
        open_slide(tmp_path / "a.jpg")


def test_image_larger_than_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_slide, "MAX_PIXELS", SIDE * SIDE - 1)
    (tmp_path / "a.png").write_bytes(encode(".png", draw()))
    with pytest.raises(BadInputError, match="larger than an image may be"):
        open_slide(tmp_path / "a.png")


def test_webp_cut_short_or_longer_than_stated(tmp_path: Path) -> None:
    data = encode(".webp", draw())
    (tmp_path / "a.webp").write_bytes(data[:300] + data[301:])
    with pytest.raises(BadInputError, match="its header states"):
        open_slide(tmp_path / "a.webp")
    _, warnings = read(tmp_path / "a.webp", data + b"x")
    assert any("longer than the image's header states, by 1 byte:" in warning for warning in warnings)


def test_bmp_longer_than_stated(tmp_path: Path) -> None:
    data = encode(".bmp", draw())
    _, warnings = read(tmp_path / "a.bmp", data[:100] + b"x" + data[100:-1] + bytes(1))
    assert any("longer than the image's header states, by 1 byte:" in warning for warning in warnings)
    unstated = data[:2] + bytes(4) + data[6:]
    assert read(tmp_path / "a.bmp", unstated + bytes(2))[1] == ()


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "bmp"])
def test_headers_state_the_size(kind: str) -> None:
    header = read_header(encode(f".{kind}", draw()[:40]), kind.replace("jpg", "jpeg"))
    assert header is not None
    assert (header.width, header.height, header.fault, header.extra_bytes) == (SIDE, 40, "", 0)
