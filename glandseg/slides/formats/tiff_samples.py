"""Kinds of TIFF samples that can be shown as RGB, and their conversion."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import cv2
import numpy as np
import tifffile
from numpy.typing import NDArray

from glandseg.slides.formats.codec_size import SIZE_READERS
from glandseg.slides.rgb import lay_on_background, reduce_to_8_bits, repeat_gray

JPEG_COMPRESSIONS = {6, 7, 34892, 33007}
APERIO_YCBCR = 33003  # JPEG 2000 of YCbCr, in spite of the tag PhotometricInterpretation
WHITE_IS_ZERO, BLACK_IS_ZERO, RGB, PALETTE, YCBCR = 0, 1, 2, 3, 6
WHITE_16, BRIGHT_PERCENT = 65_535, 99.9
PREMULTIPLIED, STRAIGHT = 1, 2  # kinds of alpha (ExtraSamples)


def find_problem(page: tifffile.TiffPage) -> str | None:
    """Return what keeps a page from being read; None if nothing does."""
    if page.compression != 1 and not is_decodable(int(page.compression)):
        return f"compression {name(page.compression)} is not one that can be decoded"
    if page.dtype not in (np.uint8, np.uint16, np.bool_):
        return f"samples are {page.dtype}; uint8 and, for RGB, uint16 are read"
    if page.photometric != PALETTE and page.bitspersample not in (1, 8, 16):
        return f"samples have {page.bitspersample} bits; 8 and, for RGB, 16 are read"
    if page.dtype == np.bool_ and (page.samplesperpixel != 1 or page.compression in SIZE_READERS):
        return "samples of 1 bit are read where there is one per px, and no image codec"
    if page.photometric in (WHITE_IS_ZERO, BLACK_IS_ZERO, PALETTE) and page.samplesperpixel == 1:
        if page.dtype == np.uint16:
            return "16-bit gray is taken for fluorescence; RGB, palette and 8-bit gray are read"
    elif not is_color(page):
        return f"{page.samplesperpixel} samples of {name(page.photometric)} are not RGB, palette or gray"
    if page.imagedepth != 1:
        return f"it is a volume, {page.imagedepth} deep; one flat image is read"
    return None


def is_decodable(compression: int) -> bool:
    """Return whether a codec is installed, and the size of its result known before it is decoded."""
    if compression in tifffile.TIFF.IMAGE_COMPRESSIONS and compression not in SIZE_READERS:
        return False
    return compression in tifffile.TIFF.DECOMPRESSORS


def is_color(page: tifffile.TiffPage) -> bool:
    """Return whether a page holds RGB or RGBA, or YCbCr that its codec converts to RGB."""
    has_colors = page.photometric == RGB or (
        page.photometric == YCBCR and page.compression in {*JPEG_COMPRESSIONS, APERIO_YCBCR}
    )
    return has_colors and page.samplesperpixel in (3, 4)


def find_white(page: tifffile.TiffPage) -> int:
    """Return the sample value of white, which a sparse TIFF does not store."""
    if page.photometric == WHITE_IS_ZERO:
        return 0
    if page.photometric == PALETTE:
        return int(np.asarray(page.colormap, np.int64).sum(axis=0).argmax())
    return 1 if page.dtype == np.bool_ else int(np.iinfo(page.dtype).max)


def convert_stored_ycbcr(page: tifffile.TiffPage, samples: NDArray[Any]) -> NDArray[Any]:
    """Convert (H, W, samples) that a codec left as YCbCr to RGB; return others unchanged."""
    if page.compression != APERIO_YCBCR or samples.shape[-1] < 3:
        return samples
    y_cr_cb = np.ascontiguousarray(samples[..., [0, 2, 1]])
    rgb = np.asarray(cv2.cvtColor(y_cr_cb, cv2.COLOR_YCrCb2RGB))
    return np.concatenate([rgb, samples[..., 3:]], axis=-1)


def convert_samples(page: tifffile.TiffPage, samples: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert a page's (H, W, 1, 3 or 4) samples to (H, W, 3) uint8 RGB, alpha on white."""
    if page.photometric == PALETTE:
        colors: NDArray[np.uint16] = np.asarray(page.colormap, np.uint16)
        return np.ascontiguousarray((colors.T >> 8).astype(np.uint8)[samples[..., 0]])
    pixels = reduce_to_8_bits(samples)
    if page.photometric == WHITE_IS_ZERO:
        pixels = 255 - pixels
    if page.samplesperpixel == 1:
        return repeat_gray(pixels)
    alpha = page.extrasamples[0] if page.extrasamples else 0
    if alpha in (PREMULTIPLIED, STRAIGHT):
        return lay_on_background(pixels, premultiplied=alpha == PREMULTIPLIED)
    return np.ascontiguousarray(pixels[..., :3])


def find_sample_warnings(
    page: tifffile.TiffPage, read: Callable[[], Iterable[NDArray[Any]]]
) -> tuple[str, ...]:
    """Warn of 16-bit samples that hold fewer bits, and of an image that is transparent.

    Args:
        page: Page of the TIFF.
        read: Called with (); returns (H, W, samples) patches, or raises if they are damaged.
    """
    has_alpha = bool(page.extrasamples) and page.extrasamples[0] in (PREMULTIPLIED, STRAIGHT)
    if page.dtype != np.uint16 and not has_alpha:
        return ()
    try:
        stored = np.concatenate([patch.reshape(-1, patch.shape[-1]) for patch in read()])
    except Exception:  # damaged there: reading will report it
        return ()
    if has_alpha and not stored[:, -1].any():
        return ("The image is transparent throughout, so it is shown as white: export it without alpha.",)
    colors = (
        stored[(stored[:, :3] < find_white(page)).any(axis=1), :3] if page.dtype == np.uint16 else stored[:0]
    )
    brightest = int(np.percentile(colors, BRIGHT_PERCENT)) if colors.size else WHITE_16
    if brightest > WHITE_16 // 2:
        return ()
    return (
        f"The samples have 16 bits, but reach only {brightest:,} of {WHITE_16:,}, so the slide looks dark: "
        f"export it scaled to the full range, or as 8-bit RGB.",
    )


def name(value: Any) -> str:
    """Return a tag's value by its name in the TIFF specification."""
    return str(getattr(value, "name", value))
