"""Image headers, checked against the file before px are decoded.

A damaged size makes a decoder fill gigabytes. But the bytes of a file bound what it can hold: deflate packs
at most 1,032 bytes into one, a JPEG's block of 64 px takes at least a bit, and most BMPs are uncompressed.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from glandseg.slides.formats.codec_size import read_webp_chunk
from glandseg.slides.formats.jpeg import JPEG_FRAMES

MAX_DEFLATE = 1032  # bytes from one
MAX_JPEG_PX = 512  # from one byte: eight blocks of 64 px
PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by color type
BMP_PLAIN = (0, 3, 6)  # BI_RGB, BI_BITFIELDS, BI_ALPHABITFIELDS
BMP_ALPHA_FIELDS = 6


@dataclass(frozen=True)
class ImageHeader:
    """An image's header.

    Attributes:
        width: Width in px.
        height: Height in px.
        fault: Why the file cannot hold such an image; empty if it can.
        has_alpha: Whether a fourth channel is opacity.
        extra_bytes: Number of bytes after the end that the header states.
    """

    width: int
    height: int
    fault: str = ""
    has_alpha: bool = True
    extra_bytes: int = 0


def read_header(data: bytes, kind: str) -> ImageHeader | None:
    """Read an image's header; None if it is not understood, which is left to the decoder.

    Args:
        data: Whole file.
        kind: "png", "jpeg", "webp" or "bmp".
    """
    read = {"png": read_png, "jpeg": read_jpeg, "webp": read_webp, "bmp": read_bmp}[kind]
    try:
        return read(data)
    except (struct.error, IndexError, KeyError):
        return None


def read_png(data: bytes) -> ImageHeader:
    """Read IHDR, and sum the compressed bytes of all IDAT."""
    width, height, bits, color = struct.unpack_from(">IIBB", data, 16)
    packed, place = 0, 8
    while place + 8 <= len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        packed += length if name in {b"IDAT", b"fdAT"} else 0
        place += length + 12
    needed = height * -(-width * bits * PNG_CHANNELS[color] // 8)
    return ImageHeader(width, height, describe_fault(width, height, needed > MAX_DEFLATE * (packed + 1)))


def read_jpeg(data: bytes) -> ImageHeader | None:
    """Read the frame header of any coding."""
    place = 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, length = struct.unpack_from(">BH", data, place + 1)
        if marker in JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, place + 5)
            too_large = width * height > MAX_JPEG_PX * len(data)
            return ImageHeader(width, height, describe_fault(width, height, too_large))
        place += 1 if marker == 0xFF else 2 + length
    return None


def read_webp(data: bytes) -> ImageHeader | None:
    """Read the size in the first chunk, and compare the file's length with the container's."""
    stated = struct.unpack_from("<I", data, 4)[0] + 8
    fault = "" if stated <= len(data) else f"its header states {stated:,} bytes, the file has {len(data):,}"
    size = read_webp_chunk(data[12:16], data[20:36])
    if size is None:
        return None
    return ImageHeader(size.width, size.height, fault, extra_bytes=max(len(data) - stated, 0))


def read_bmp(data: bytes) -> ImageHeader | None:
    """Read the information header; px of 32 bits have alpha only where the header masks it."""
    start, header_size = struct.unpack_from("<II", data, 10)
    if header_size < 40:
        return None
    width, height, _, bits, packing = struct.unpack_from("<iiHHI", data, 18)
    width, height = abs(width), abs(height)
    masked = header_size >= 56 or packing == BMP_ALPHA_FIELDS
    has_alpha = packing != 0 and masked and struct.unpack_from("<I", data, 66)[0] != 0
    if packing not in BMP_PLAIN:
        return ImageHeader(width, height, has_alpha=has_alpha)
    end = start + height * (-(-width * bits // 32) * 4)
    fault = describe_fault(width, height, end > len(data))
    return ImageHeader(width, height, fault, has_alpha, 0 if fault else count_bmp_extra(data, end))


def count_bmp_extra(data: bytes, end: int) -> int:
    """Count the bytes beyond the length that a BMP states; if it states none, beyond its px and padding."""
    stated, header_size = (int(struct.unpack_from("<I", data, place)[0]) for place in (2, 14))
    if stated >= end:
        return max(len(data) - stated, 0)
    has_profile = header_size >= 124
    return 0 if has_profile or not any(data[end:]) else len(data) - end


def describe_fault(width: int, height: int, is_too_large: bool) -> str:
    """Return the fault of a size that the file cannot hold; empty if it can."""
    return f"its header states {width:,} x {height:,} px, more than the file can hold" if is_too_large else ""
