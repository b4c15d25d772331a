"""PNG, JPEG, WebP and BMP images, held whole in memory: the one decoder of such files."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, shorten
from glandseg.slides.formats.image_header import ImageHeader, read_header
from glandseg.slides.formats.jpeg import find_jpeg_fault
from glandseg.slides.mpp import decide_mpp
from glandseg.slides.rgb import convert_bgr
from glandseg.slides.slide import Slide, build_levels

MAX_PIXELS = 1 << 28  # held in memory, twice while they are decoded; also WebP's own maximum
TRANSPARENT_WARNS = 0.9  # share of px


def detect_image_format(head: bytes) -> str | None:
    """Return the image format that a file's first 12 bytes announce; None for any other."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    return "bmp" if head.startswith(b"BM") else None


class ImageSlide(Slide):
    """An image of one level; EXIF orientation is ignored, as in QuPath and ImageJ."""

    def __init__(self, path: Path, kind: str, mpp: float | None = None) -> None:
        self.path = path
        self.format = kind
        self.resolution = decide_mpp(path, [], given=mpp)
        self._rgb, self.warnings = decode_image(path, kind)
        height, width = self._rgb.shape[:2]
        self.levels = build_levels([(width, height)])

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.array(self._rgb[y : y + height, x : x + width], np.uint8)

    def close(self) -> None:
        """Do nothing: the file was closed when it was read."""


def decode_image(path: Path, kind: str) -> tuple[NDArray[np.uint8], tuple[str, ...]]:
    """Decode an image file to (H, W, 3) uint8 RGB, alpha on white, with warnings.

    Raises:
        BadInputError: The image is damaged, cut short, or larger than `MAX_PIXELS`.
    """
    header, samples = decode_stored(path, kind)
    if samples.ndim == 3 and samples.shape[2] == 4 and not header.has_alpha:
        samples = samples[..., :3]
    return convert_bgr(samples), tuple(list_warnings(header, samples))


def decode_stored(path: Path, kind: str) -> tuple[ImageHeader, NDArray[Any]]:
    """Decode an image file as stored: its header, and (H, W) or (H, W, channels) gray, BGR or BGRA.

    Raises:
        BadInputError: As `decode_image`.
    """
    data = np.fromfile(path, np.uint8)
    header = check_file(path, kind, data.tobytes())
    samples = decode_samples(path, kind, data)
    if samples.shape[0] * samples.shape[1] > MAX_PIXELS:
        raise_too_large(path, kind)
    return header, samples


def check_file(path: Path, kind: str, data: bytes) -> ImageHeader:
    """Read the header, and check it against the file's bytes before any px are decoded.

    Raises:
        BadInputError: The size is too large for the file or for memory, or the data are damaged.
    """
    header = read_header(data, kind) or ImageHeader(1, 1)
    if header.width * header.height > MAX_PIXELS and not header.fault:
        raise_too_large(path, kind)
    fault = header.fault or ("its end is missing" if is_cut_short(data, kind) else "")
    fault = fault or (find_jpeg_fault(data) if kind == "jpeg" else "")
    if fault:
        raise_undecodable(path, kind, fault)
    return header


def list_warnings(header: ImageHeader, samples: NDArray[Any]) -> Iterator[str]:
    """Yield warnings about a decoded file.

    Args:
        header: Header of the file.
        samples: Decoded samples, (H, W) or (H, W, channels) uint8 or uint16.
    """
    if header.extra_bytes:
        yield (
            f"the file is longer than the image's header states, by {header.extra_bytes:,} "
            f"byte{'s' * (header.extra_bytes > 1)}: it may be damaged, so look at the overview"
        )
    if samples.ndim == 3 and samples.shape[2] == 4:
        share = np.count_nonzero(samples[..., 3] == 0) / samples[..., 3].size
        if share >= TRANSPARENT_WARNS:
            yield f"{share:.0%} of the image is transparent and read as white: export it without opacity"


def decode_samples(path: Path, kind: str, data: NDArray[np.uint8]) -> NDArray[Any]:
    """Decode with OpenCV: gray, BGR or BGRA as stored, unrotated."""
    try:
        samples: NDArray[Any] | None = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        if "CV_IO_MAX_IMAGE" in str(error):
            raise_too_large(path, kind)
        raise_undecodable(path, kind, shorten(error))
    if samples is None:
        raise_undecodable(path, kind, "OpenCV gives up")
    return samples


def is_cut_short(data: bytes, kind: str) -> bool:
    """Return whether a PNG or JPEG lacks its end marker; some decoders fill the rest with gray."""
    if kind == "png":
        return b"IEND" not in data
    return kind == "jpeg" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def raise_undecodable(path: Path, kind: str, reason: str) -> NoReturn:
    """Raise the error of a damaged image."""
    raise BadInputError(
        f"{path}: this {kind} cannot be decoded ({reason}): damaged or cut short. Copy or export it again."
    )


def raise_too_large(path: Path, kind: str) -> NoReturn:
    """Raise the error of an image too large for memory."""
    raise BadInputError(
        f"{path}: this {kind} is larger than an image may be ({MAX_PIXELS:,} px, held in memory). "
        f"Convert it to a tiled TIFF."
    )
