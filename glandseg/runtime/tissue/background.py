"""Tissue, pen and artifacts told apart from the background by color, darkness and texture.

Density relative to the slide's own background, rather than color as such, makes one rule fit scanners of any
brightness and white balance. Color alone misses clear mucus, whose strands show as texture; darkness alone
takes dust for tissue, which haematoxylin's and eosin's strong absorption of green tells apart. Densities are
whole numbers, so that sums are exact and bands of rows cannot be told from the whole. In doubt a px counts as
tissue: a window too many costs time, a window too few costs glands.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tissue.illumination import looks_inverted
from glandseg.runtime.tissue.tinted_background import find_tinted_background

BACKGROUND_MIN_LEVEL = 180  # background: every channel at least this bright,
BACKGROUND_MAX_CHROMA = 24  # the channels at most this far apart,
BACKGROUND_MIN_SHARE = 0.01  # on at least this share of the slide
BACKGROUND_WIDTH = 6  # gray levels around the background's color that belong to it

DARK_LEVEL = 60  # an image of which half is darker is not bright field

TISSUE_DENSITY = 0.02  # mean optical density over the background (2 % is 0.009, pale mucin 0.04)
TISSUE_CHROMA = 0.03  # spread of density between channels: color without darkness
TISSUE_TEXTURE = 0.012  # local deviation of density: strands in clear mucus

PEN_RED_DENSITY = 0.35  # minimum absorption of red by green and blue pens,
PEN_RED_EXCESS = 0.12  # and its excess over green, which haematoxylin and eosin absorb more
PEN_BLACK_LEVEL = 50  # black pen: all channels below; under dim light in proportion

STAIN_EXCESS = 0.04  # minimum excess of green over red or blue in haematoxylin and eosin
GRAY_DENSITY = 0.15  # minimum density of dust,
GRAY_SPREAD = 0.15  # and maximum spread of its channels, as a share of its density

UNITS = 500  # per 1 of density, rounded to whole numbers
BAND_PX = 1 << 18  # px marked together


@dataclass(frozen=True, eq=False, kw_only=True)
class Marks:
    """What each px of a thumbnail shows, (h, w) bool each.

    Attributes:
        differs: Color, darkness or texture unlike the background's.
        stained: Color of haematoxylin or eosin.
        gray: Dark without color.
        pen: Green, blue or black pen; red pen looks like eosin and is not marked.
    """

    differs: NDArray[np.bool_]
    stained: NDArray[np.bool_]
    gray: NDArray[np.bool_]
    pen: NDArray[np.bool_]


def find_background_color(
    thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """Find the color of the background: bright and colorless, else as a tinted or dim lamp shows it.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        fill: (h, w) bool, px that the scanner filled in.

    Returns:
        (3,) float32 RGB in 0..255; None without background.
    """
    white = find_white_background(thumbnail, fill)
    if white is not None or looks_inverted(thumbnail, fill):
        return white
    return find_tinted_background(thumbnail, fill)


def find_white_background(
    thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """Find the background's color under white light, (3,) float32 RGB in 0..255; None without one."""
    lowest, highest = find_extremes(thumbnail)
    bright = (lowest >= BACKGROUND_MIN_LEVEL) & (highest - lowest <= BACKGROUND_MAX_CHROMA) & ~fill
    if np.count_nonzero(bright) < BACKGROUND_MIN_SHARE * max(fill.size - np.count_nonzero(fill), 1):
        return None
    peak = find_brightest_peak(count_levels(lowest, bright))
    near = bright & (lowest >= peak - BACKGROUND_WIDTH) & (lowest <= peak + BACKGROUND_WIDTH)
    return np.array(
        [find_quantile(count_levels(channel, near), 0.5) for channel in cv2.split(thumbnail)], np.float32
    )


def is_dark(thumbnail: NDArray[np.uint8]) -> bool:
    """Return whether an (h, w, 3) uint8 RGB image is mostly black, as in fluorescence."""
    return find_quantile(count_levels(find_extremes(thumbnail)[1]), 0.5) < DARK_LEVEL


def find_extremes(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Compute the lowest and the highest of each px's channels, (h, w) uint8 each."""
    red, green, blue = cv2.split(image)
    low, high = cv2.min(cv2.min(red, green), blue), cv2.max(cv2.max(red, green), blue)
    return np.asarray(low, np.uint8), np.asarray(high, np.uint8)


def count_levels(channel: NDArray[np.uint8], mask: NDArray[np.bool_] | None = None) -> NDArray[np.float64]:
    """Count how often each gray level occurs where `mask` is True, (256,) float64."""
    where = None if mask is None else mask.view(np.uint8)
    return np.asarray(cv2.calcHist([channel], [0], where, [256], [0, 256]), np.float64).ravel()


def find_quantile(counts: NDArray[np.float64], share: float) -> float:
    """Compute a quantile, `share` in 0..1, of counted levels, interpolated linearly."""
    place = (float(counts.sum()) - 1) * share
    below = np.cumsum(counts)
    low, high = (int(np.searchsorted(below, math.floor(p), side="right")) for p in (place, place + 1))
    return low + (min(high, 255) - low) * (place - math.floor(place))


def find_brightest_peak(counts: NDArray[np.float64]) -> int:
    """Find the most frequent gray level among the brightest, so that pale tissue is no background."""
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    from_top = np.cumsum(counts[::-1])[::-1]
    start = int(np.flatnonzero(from_top >= 0.05 * counts.sum())[-1]) - BACKGROUND_WIDTH
    return max(start, 0) + int(np.argmax(smooth[max(start, 0) :]))


def mark_thumbnail(
    thumbnail: NDArray[np.uint8],
    background: NDArray[np.float32],
    fill: NDArray[np.bool_],
    band_px: int = BAND_PX,
) -> Marks:
    """Mark what each px of an (h, w, 3) uint8 RGB thumbnail shows; `fill` is (h, w) bool.

    Bands of rows of about `band_px` px bound the memory; the result does not depend on them.
    """
    marks = Marks(**{name: np.zeros(fill.shape, np.bool_) for name in ("differs", "stained", "gray", "pen")})
    table = tabulate_density(background)
    black = PEN_BLACK_LEVEL * min(1.0, float(background.max()) / BACKGROUND_MIN_LEVEL)
    height, width = fill.shape
    for band, rows in list_bands(height, width, band_px):
        density = cv2.LUT(thumbnail[rows], table)
        density[fill[rows]] = 0
        red, green, blue = cv2.split(density)
        mark_density(red, green, blue, marks, band)
        marks.pen[band] |= find_extremes(thumbnail[band])[1] < black
    return marks


def mark_density(
    red: NDArray[np.int16], green: NDArray[np.int16], blue: NDArray[np.int16], marks: Marks, band: slice
) -> None:
    """Set the marks of a band from its (rows, w) densities in units, with a row more above and below."""
    inner = np.s_[1:-1]
    total = red + green + blue
    texture = find_texture(total)[inner]
    red, green, blue, total = (values[inner] for values in (red, green, blue, total))
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    excess = round(UNITS * STAIN_EXCESS)
    marks.differs[band] = (total > 3 * UNITS * TISSUE_DENSITY) | (spread > UNITS * TISSUE_CHROMA) | texture
    marks.stained[band] = (green - red > excess) | (green - blue > excess)
    marks.gray[band] = (total > 3 * UNITS * GRAY_DENSITY) & (spread < GRAY_SPREAD / 3 * total)
    marks.pen[band] = (red > UNITS * PEN_RED_DENSITY) & (red - green > UNITS * PEN_RED_EXCESS)


def list_bands(height: int, width: int, band_px: int) -> Iterator[tuple[slice, NDArray[np.int64]]]:
    """Yield bands of rows, and their indices with a row above and below, mirrored at the ends."""
    step = max(band_px // width, 1)
    for top in range(0, height, step):
        rows = np.abs(np.arange(top - 1, min(top + step, height) + 1))
        yield slice(top, top + step), np.clip(np.minimum(rows, 2 * (height - 1) - rows), 0, height - 1)


def tabulate_density(background: NDArray[np.float32]) -> NDArray[np.int16]:
    """Tabulate each level's optical density over the background in units, (256, 1, 3) int16."""
    levels = np.log10(np.arange(1, 257, dtype=np.float64))[:, None, None]
    density = np.rint(UNITS * (np.log10(background.astype(np.float64) + 1) - levels))
    return np.asarray(density, np.int16)


def find_texture(total: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Mark where the density of all channels together varies within 3 x 3 px, (h, w) bool."""
    values = total.astype(np.float32)
    sums, squares = (cv2.boxFilter(v, cv2.CV_64F, (3, 3), normalize=False) for v in (values, values * values))
    found: NDArray[np.bool_] = 9 * squares - sums * sums > (9 * 3 * UNITS * TISSUE_TEXTURE) ** 2
    return found
