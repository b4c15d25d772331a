"""The values of a mask file as stored: grey levels, ids, colors, opacity, or indices into a palette.

The slide reader's 8-bit RGB would hide what they mean: an id, an index, 16 bits.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from glandseg.core.errors import BadInputError, shorten
from glandseg.slides.formats.image import decode_stored, detect_image_format
from glandseg.slides.formats.tiff import detect_tiff
from glandseg.slides.formats.tiff_samples import (
    BLACK_IS_ZERO,
    JPEG_COMPRESSIONS,
    PALETTE,
    RGB,
    WHITE_IS_ZERO,
    YCBCR,
)
from glandseg.training.data.decoding import check_header, read_rgb, refuse_huge


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """A mask file's values.

    Attributes:
        values: (H, W) or (H, W, channels) of any number type; the last of 2 or 4 channels is opacity.
        palette: (N, 3) uint8 RGB where values are indices into it; None otherwise.
        lossy: Whether the file's codec changes values, so that they cannot be ids.
        note: How they were read where that is a choice; empty otherwise.
    """

    values: NDArray[Any]
    palette: NDArray[np.uint8] | None = None
    lossy: bool = False
    note: str = ""


def read_values(path: Path) -> StoredValues:
    """Read a mask file as stored.

    Raises:
        BadInputError: If the file is missing, damaged, too large, a stack, or has an orientation tag.
    """
    check_header(path)
    data = path.read_bytes() if path.is_file() else b""
    if detect_tiff(data[:4]):
        return _read_tiff(path, data)
    kind = detect_image_format(data[:12])
    if kind is None:
        read_rgb(path)  # the slide reader knows missing and unknown files
        raise _build_damage_error(path, "no decoder takes it")
    return _read_image(path, kind, data)


def _read_image(path: Path, kind: str, data: bytes) -> StoredValues:
    image = decode_stored(path, kind)[1]
    refuse_huge(path, image.shape[1], image.shape[0])
    try:
        with Image.open(io.BytesIO(data)) as opened:
            if opened.mode == "P":  # whose indices OpenCV replaces by their colors
                colors = np.array(opened.getpalette("RGB"), np.uint8).reshape(-1, 3)
                return StoredValues(values=np.asarray(opened), palette=colors)
    except Exception as error:  # whatever Pillow raises
        raise _build_damage_error(path, shorten(error)) from None
    return StoredValues(values=image, lossy=kind == "jpeg" or (kind == "webp" and b"VP8 " in data[:64]))


def _read_tiff(path: Path, data: bytes) -> StoredValues:
    try:
        with tifffile.TiffFile(io.BytesIO(data), is_ome=False, _multifile=False) as tiff:
            pages = sorted(tiff.pages, key=lambda page: -page.imagewidth * page.imagelength)
            problem = _find_problem(pages)
            if problem:
                raise BadInputError(f"{path}: {problem}. Save the mask as one grey image, such as PNG.")
            return _convert_page(pages[0])
    except BadInputError:
        raise
    except Exception as error:  # any error of tifffile and its codecs on damage
        raise _build_damage_error(path, shorten(error)) from None


def _find_problem(pages: list[tifffile.TiffPage]) -> str | None:
    page = pages[0]
    if page.imagedepth > 1 or sum(other.shape == page.shape for other in pages) > 1:
        return "is a stack of several planes"
    if page.photometric not in (WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE) and not (
        page.photometric == YCBCR and page.compression in JPEG_COMPRESSIONS
    ):
        return f"its colors are {getattr(page.photometric, 'name', page.photometric)}, not grey or RGB"
    return "stores no pixels" if not any(page.databytecounts) else None


def _convert_page(page: tifffile.TiffPage) -> StoredValues:
    values = np.asarray(page.asarray())
    if page.samplesperpixel > 1 and page.axes.index("S") == 0:
        values = np.moveaxis(values, 0, -1)
    if page.bitspersample == 1:
        values = values > 0
    if page.photometric == PALETTE:
        colors = (np.asarray(page.colormap, np.uint16).T >> 8).astype(np.uint8)
        return StoredValues(values=values, palette=colors)
    if page.photometric != WHITE_IS_ZERO:
        return StoredValues(values=values, lossy=page.compression in JPEG_COMPRESSIONS)
    if page.software.startswith("tifffile") or page.description.startswith("ImageJ="):
        note = "stored white-is-zero; 1 or 255, shown black, is taken for gland"
        return StoredValues(values=values, note=note)
    values = ~values if values.dtype == np.bool_ else np.iinfo(values.dtype).max - values
    return StoredValues(values=values, note="stored white-is-zero; what is shown white is taken for gland")


def _build_damage_error(path: Path, reason: str) -> BadInputError:
    return BadInputError(f"{path}: this mask cannot be decoded ({reason}). Copy or export it again.")
