"""Which kinds of TIFF samples can be shown as RGB, and how."""

from __future__ import annotations

from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.runtime.slides.cache import ArrayCache
from glandseg.runtime.slides.rgb import lay_on_background, reduce_to_8_bits, repeat_gray
from glandseg.runtime.slides.tiff_page import JPEG_COMPRESSIONS, TiffPageReader

MAX_SEGMENT_PIXELS = 10**9
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
PREMULTIPLIED, STRAIGHT = 1, 2  # kinds of alpha (ExtraSamples)


def find_problem(page: tifffile.TiffPage) -> str | None:
    """What keeps a page from being read, in words; None if nothing does."""
    if page.compression != 1 and page.compression not in tifffile.TIFF.DECOMPRESSORS:
        return f"compression {name(page.compression)} is not one that can be decoded"
    if page.dtype not in (np.uint8, np.uint16, np.bool_):
        return f"samples are {page.dtype}; uint8 and, for RGB, uint16 are read"
    if page.photometric != PALETTE and page.bitspersample not in (1, 8, 16):
        return f"samples have {page.bitspersample} bits; 8 and, for RGB, 16 are read"
    if page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE) and page.samplesperpixel == 1:
        if page.dtype == np.uint16:
            return "16-bit gray is taken for fluorescence; RGB, palette and 8-bit gray are read"
    elif not is_colour(page):
        return f"{page.samplesperpixel} samples of {name(page.photometric)} are not RGB, palette or gray"
    if page.imagedepth != 1:
        return f"it is a volume, {page.imagedepth} deep; one flat picture is read"
    reader = TiffPageReader(page, ArrayCache(0))
    if not page.is_memmappable and reader.segment_width * reader.segment_height > MAX_SEGMENT_PIXELS:
        return f"one strip or tile has over {MAX_SEGMENT_PIXELS:,} px; tiles keep memory small"
    return None


def is_colour(page: tifffile.TiffPage) -> bool:
    """Whether a page holds RGB or RGBA, or YCbCr that its codec turns into RGB."""
    has_colours = page.photometric == RGB or (
        page.photometric == YCBCR and page.compression in JPEG_COMPRESSIONS
    )
    return has_colours and page.samplesperpixel in (3, 4)


def convert_samples(page: tifffile.TiffPage, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """A page's (H, W, 1, 3 or 4) samples as (H, W, 3) uint8 RGB, alpha on white."""
    if page.photometric == PALETTE:
        colours: NDArray[np.uint16] = np.asarray(page.colormap, np.uint16)
        return np.ascontiguousarray((colours.T >> 8).astype(np.uint8)[samples[..., 0]])
    pixels = reduce_to_8_bits(samples)
    if page.photometric == WHITE_IS_ZERO:
        pixels = 255 - pixels
    if page.samplesperpixel == 1:
        return repeat_gray(pixels)
    alpha = page.extrasamples[0] if page.extrasamples else 0
    if alpha in (PREMULTIPLIED, STRAIGHT):
        return lay_on_background(pixels, premultiplied=alpha == PREMULTIPLIED)
    return np.ascontiguousarray(pixels[..., :3])


def name(value: Any) -> str:
    """A tag's value as the TIFF specification calls it."""
    return str(getattr(value, "name", value))
