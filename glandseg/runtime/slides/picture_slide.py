"""PNG, JPEG, WebP and BMP pictures, held whole in memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError, shorten
from glandseg.runtime.slides.reader import Slide, build_levels
from glandseg.runtime.slides.resolution import settle
from glandseg.runtime.slides.rgb import convert_bgr

MAX_PIXELS = 10**9


def detect_picture(head: bytes) -> str | None:
    """The picture format that a file's first 12 bytes announce; None for another."""
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "webp"
    return "bmp" if head.startswith(b"BM") else None


class PictureSlide(Slide):
    """A picture of one level; rotation marks (EXIF) are ignored, as QuPath and ImageJ do."""

    def __init__(self, path: Path, kind: str, mpp: float | None = None) -> None:
        self.path = path
        self.format = kind
        self.resolution = settle(path, [], given=mpp)
        self._rgb = decode_picture(path, kind)
        height, width = self._rgb.shape[:2]
        self.levels = build_levels([(width, height)])

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        return np.array(self._rgb[y : y + height, x : x + width], np.uint8)

    def close(self) -> None:
        """Nothing to let go of: the file was closed once read."""


def decode_picture(path: Path, kind: str) -> NDArray[np.uint8]:
    """A picture file as (H, W, 3) uint8 RGB, alpha on white.

    Raises:
        BadInputError: damaged, cut short, or larger than a gigapixel.
    """
    data = np.fromfile(path, np.uint8)
    if is_cut_short(data.tobytes(), kind):
        raise_undecodable(path, kind, "its end is missing")
    samples = decode_samples(path, kind, data)
    if samples.shape[0] * samples.shape[1] > MAX_PIXELS:
        raise_too_large(path, kind)
    return convert_bgr(samples)


def decode_samples(path: Path, kind: str, data: NDArray[np.uint8]) -> NDArray[Any]:
    """What OpenCV makes of the file: gray, BGR or BGRA as stored, unrotated."""
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
    """Whether a PNG or JPEG lacks its end mark, which some decoders overlook and fill with gray."""
    if kind == "png":
        return b"IEND" not in data
    return kind == "jpeg" and data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda")


def raise_undecodable(path: Path, kind: str, reason: str) -> NoReturn:
    """Tell that the picture is damaged."""
    raise BadInputError(
        f"{path}: this {kind} cannot be decoded ({reason}): damaged or cut short. Copy or export it again"
    )


def raise_too_large(path: Path, kind: str) -> NoReturn:
    """Tell that the picture would not fit in memory."""
    raise BadInputError(
        f"{path}: this {kind} is larger than a picture may be ({MAX_PIXELS:,} px, held in memory). "
        f"Convert it to a tiled TIFF"
    )
