"""Image sizes in codecs' own headers, read before anything is decoded.

A tile of a few bytes may announce an image of gigabytes, which its decoder would allocate; the TIFF's tags
state how large a tile can be, so the two are compared first. Every reader raises ValueError without a header.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from glandseg.slides.formats.jpeg import find_jpeg_frame

J2K_START = b"\xff\x4f\xff\x51"  # SOC, then SIZ
JXL_START = b"\xff\x0a"
JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))  # width to height
JXR_CODESTREAM = b"WMPHOTO\0"


@dataclass(frozen=True)
class CodedSize:
    """Size in px of a coded image, and its components; 0 where the header does not state them."""

    width: int
    height: int
    components: int = 0


def find_box(data: bytes, *kinds: bytes) -> bytes:
    """Return the body of the first box of these kinds in a JP2 or JPEG XL file; empty without one."""
    at = 0
    while at + 8 <= len(data):
        (length,), kind, head = struct.unpack_from(">I", data, at), data[at + 4 : at + 8], 8
        if length == 1 and at + 16 <= len(data):
            (length,), head = struct.unpack_from(">Q", data, at + 8), 16
        if kind in kinds:
            return data[at + head :]
        if length < head:
            break
        at += length
    return b""


class BitReader:
    """A reader of numbers of any bits, the lowest bits first."""

    def __init__(self, data: bytes) -> None:
        self._bits = int.from_bytes(data, "little")

    def take(self, count: int) -> int:
        """Return the next `count` bits as a number."""
        value = self._bits & ((1 << count) - 1)
        self._bits >>= count
        return value


def read_jpeg_size(data: bytes) -> CodedSize:
    """Read the frame header of a JPEG; a height left to a later marker is refused."""
    height, width, components = struct.unpack_from(">HHB", data, find_jpeg_frame(data) + 5)
    if not height:
        raise ValueError("a JPEG has no height in its frame header")
    return CodedSize(width, height, components)


def read_jpeg2000_size(data: bytes) -> CodedSize:
    """Read the SIZ segment of a JPEG 2000 codestream, bare or within a JP2 file."""
    stream = data if data.startswith(J2K_START) else find_box(data, b"jp2c")
    if not stream.startswith(J2K_START) or len(stream) < 42:
        raise ValueError("a JPEG 2000 codestream has no size")
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    (components,) = struct.unpack_from(">H", stream, 40)
    return CodedSize(right - left, bottom - top, components)


def read_webp_size(data: bytes) -> CodedSize:
    """Read the largest size that the chunks of a WebP announce: its canvas, or an image on it."""
    sizes = [size for kind, body in list_riff_chunks(data) if (size := read_webp_chunk(kind, body))]
    if not sizes:
        raise ValueError("a WebP has no size")
    return CodedSize(max(size.width for size in sizes), max(size.height for size in sizes))


def list_riff_chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind of each RIFF chunk and the first bytes of its body."""
    at = 12
    while at + 8 <= len(data):
        yield data[at : at + 4], data[at + 8 : at + 24]
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + length + length % 2


def read_webp_chunk(kind: bytes, body: bytes) -> CodedSize | None:
    """Read the size that a chunk announces: VP8X, VP8 (lossy) or VP8L (lossless); None for others."""
    if kind == b"VP8X" and len(body) >= 10:
        width, height = (int.from_bytes(body[i : i + 3], "little") for i in (4, 7))
        return CodedSize(width + 1, height + 1)
    if kind == b"VP8 " and len(body) >= 10:
        width, height = struct.unpack_from("<HH", body, 6)
        return CodedSize(width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L" and len(body) >= 5:
        bits = int.from_bytes(body[1:5], "little")
        return CodedSize((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind == b"ANMF" and len(body) >= 12:
        width, height = (int.from_bytes(body[i : i + 3], "little") for i in (6, 9))
        return CodedSize(width + 1, height + 1)
    return None


def read_png_size(data: bytes) -> CodedSize:
    """Read the header chunk of a PNG, which must come first."""
    if data[12:16] != b"IHDR" or len(data) < 24:
        raise ValueError("a PNG has no header")
    return CodedSize(*struct.unpack_from(">II", data, 16))


def read_jpegxr_size(data: bytes) -> CodedSize:
    """Read the header of a JPEG XR codestream, and the size in its container, which may be larger."""
    tags = read_jpegxr_tags(data)
    at = tags.get(0xBCC0, 0)
    if not data.startswith(JXR_CODESTREAM, at) or len(data) < at + 20:
        raise ValueError("a JPEG XR has no codestream")
    is_short = data[at + 10] & 0x80
    width, height = struct.unpack_from(">HH" if is_short else ">II", data, at + 12)
    return CodedSize(max(width + 1, tags.get(0xBC80, 0)), max(height + 1, tags.get(0xBC81, 0)))


def read_jpegxr_tags(data: bytes) -> dict[int, int]:
    """Read the tags of a JPEG XR file that hold one number."""
    at = int.from_bytes(data[4:8], "little")
    if at + 2 > len(data):
        return {}
    count = min(int.from_bytes(data[at : at + 2], "little"), (len(data) - at - 2) // 12)
    entries = (struct.unpack_from("<HHII", data, at + 2 + 12 * i) for i in range(count))
    return {tag: value for tag, _, _, value in entries}


def read_jpegxl_size(data: bytes) -> CodedSize:
    """Read the SizeHeader of a JPEG XL codestream, bare or within its boxes."""
    stream = data if data.startswith(JXL_START) else find_box(data, b"jxlc", b"jxlp")
    if not stream.startswith(JXL_START):
        stream = stream[4:]  # after the number of a partial codestream
    if not stream.startswith(JXL_START):
        raise ValueError("a JPEG XL has no codestream")
    bits = BitReader(stream[2:18])
    is_small = bits.take(1)
    height = read_jpegxl_side(bits, small=bool(is_small))
    ratio = bits.take(3)
    if not ratio:
        return CodedSize(read_jpegxl_side(bits, small=bool(is_small)), height)
    across, down = JXL_RATIOS[ratio - 1]
    return CodedSize(height * across // down, height)


def read_jpegxl_side(bits: BitReader, *, small: bool) -> int:
    """Read a side in px: in eighths where it is small, else with 9, 13, 18 or 30 bits."""
    if small:
        return (bits.take(5) + 1) * 8
    return bits.take((9, 13, 18, 30)[bits.take(2)]) + 1


def read_lerc_size(data: bytes) -> CodedSize:
    """Read the header of a LERC blob of version 2."""
    if not data.startswith(b"Lerc2 ") or len(data) < 26:
        raise ValueError("a LERC blob has no header that is known")
    (version,) = struct.unpack_from("<i", data, 6)
    height, width, depth = struct.unpack_from("<3i", data, 10 if version < 3 else 14)
    return CodedSize(width, height, depth if version >= 4 else 0)


SIZE_READERS: dict[int, Callable[[bytes], CodedSize]] = {  # by the TIFF tag Compression
    **dict.fromkeys((6, 7, 34892, 33007), read_jpeg_size),
    **dict.fromkeys((33003, 33004, 33005, 34712), read_jpeg2000_size),
    **dict.fromkeys((22610, 34934), read_jpegxr_size),
    **dict.fromkeys((50002, 52546), read_jpegxl_size),
    **dict.fromkeys((50001, 34927), read_webp_size),
    34933: read_png_size,
    34887: read_lerc_size,
}
