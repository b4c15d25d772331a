"""Decoding training and evaluation images with the slide reader, as inference does.

One decoder serves training, evaluation and inference, so all three see the same pixels: transparent parts are
white, a damaged tile is an error, and every codec of the slide reader is read. Orientation tags (EXIF, TIFF)
are an error: viewers follow them, many annotation programs do not, so neither reading of a mask is safe.
"""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError, WebPImagePlugin

from glandseg.core.errors import BadInputError
from glandseg.core.regular_file import check_regular_file
from glandseg.slides.formats.tiff import detect_tiff
from glandseg.slides.open import Slide, open_slide

MAX_PIXELS = 10**8  # of an image, which is held in memory with others
FORMATS = ("PNG", "JPEG", "BMP", WebPImagePlugin.WebPImageFile.format)
ORIENTATION = 274  # the tag of EXIF and TIFF
TURN_MARKS = (b"eXIf", b"Raw profile type", b"Exif", b"EXIF", b"adobe.com/xap", b"adobe.xmp", b"XMP ")


def read_rgb(path: Path) -> NDArray[np.uint8]:
    """Read an image file as (H, W, 3) uint8 RGB, its transparent parts on white.

    Raises:
        BadInputError: If the file is missing, no image, damaged, too large, or has an orientation tag.
        EnvironmentLacksError: If reading the file is not permitted.
    """
    with open_image(path) as slide:
        return slide.read_region(0, 0, 0, slide.width_l0, slide.height_l0)


def read_grey(path: Path) -> NDArray[np.uint8]:
    """Read a grey image written by glandseg as (H, W) uint8.

    Raises:
        BadInputError: As `read_rgb`.
    """
    return np.ascontiguousarray(read_rgb(path)[..., 0])


@contextlib.contextmanager
def open_image(path: Path, um_per_px: float = 1.0) -> Iterator[Slide]:
    """Open an image with the slide reader until the block ends.

    Args:
        path: Image file.
        um_per_px: Microns per pixel of the image, in place of the file's.

    Raises:
        BadInputError: As `read_rgb`.
    """
    check_header(path)
    with open_slide(path, um_per_px) as slide:
        refuse_huge(path, slide.width_l0, slide.height_l0)
        yield slide


def check_header(path: Path) -> None:
    """Raise if a file cannot be a training image, by its header alone.

    Raises:
        BadInputError: If it is a named pipe, has too many pixels, or has an orientation tag.
    """
    check_regular_file(path)
    try:
        data = path.read_bytes()
    except OSError:
        return  # the slide reader explains it
    try:
        width, height, orientation = _read_tiff(data) if detect_tiff(data[:4]) else _read_image(data)
    except Image.DecompressionBombError:
        raise _build_size_error(path) from None
    refuse_huge(path, width, height)
    if orientation not in (0, 1):
        raise BadInputError(
            f"{path}: has the orientation tag {orientation}, which some programs follow and others ignore. "
            "Save it upright, without the tag, and check that image and mask lie on each other."
        )


def refuse_huge(path: Path, width: int, height: int) -> None:
    """Raise if an image has more than `MAX_PIXELS` pixels.

    Raises:
        BadInputError: If it has.
    """
    if width * height > MAX_PIXELS:
        raise _build_size_error(path)


def _build_size_error(path: Path) -> BadInputError:
    return BadInputError(
        f"{path}: has more than {MAX_PIXELS:,} px; images to learn from are held in memory. "
        "Cut it into smaller images."
    )


def _read_image(data: bytes) -> tuple[int, int, int]:
    """Return width, height and orientation that a PNG, JPEG, WebP or BMP states; zeros where unknown.

    Raises:
        DecompressionBombError: If it has far too many pixels.
    """
    orientation = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of large images, which are refused, and of damaged EXIF blocks
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except Image.DecompressionBombError:
            raise
        except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
            return 0, 0, 0  # the slide reader says why
        if image.width * image.height <= MAX_PIXELS and any(mark in data for mark in TURN_MARKS):
            with contextlib.suppress(Exception):  # a damaged EXIF block, which no viewer follows
                orientation = int(image.getexif().get(ORIENTATION, 0))
    return image.width, image.height, orientation


def _read_tiff(data: bytes) -> tuple[int, int, int]:
    """Return width, height and orientation of a TIFF's largest page; zeros where unknown."""
    try:
        with tifffile.TiffFile(io.BytesIO(data), is_ome=False, _multifile=False) as tiff:
            page = max(tiff.pages, key=lambda page: page.imagewidth * page.imagelength)
            orientation = int(page.tags.valueof(ORIENTATION, 0))
            return int(page.imagewidth), int(page.imagelength), orientation
    except Exception:  # any error of tifffile on damage; the slide reader explains it
        return 0, 0, 0
