"""Tells tissue and pen from glass by colour, darkness and texture."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

GLASS_MIN_LEVEL = 180  # glass: every channel at least this bright,
GLASS_MAX_CHROMA = 24  # the channels at most this far apart,
GLASS_MIN_SHARE = 0.01  # on at least this share of the slide
GLASS_WIDTH = 6  # gray levels around the glass colour that belong to it

DARK_LEVEL = 60  # a picture of which half is darker was not lit from behind

TISSUE_DENSITY = 0.02  # mean optical density over glass (2 % is 0.009, pale mucin 0.04)
TISSUE_CHROMA = 0.03  # spread of density between channels: colour without darkness
TISSUE_TEXTURE = 0.012  # local deviation of density: strands in clear mucus

PEN_RED_DENSITY = 0.35  # green and blue pens absorb red at least so much,
PEN_RED_EXCESS = 0.12  # and so much more than green; haematoxylin and eosin absorb green more
PEN_BLACK_LEVEL = 50  # black pen: all channels below


def find_glass_colour(thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_]) -> NDArray[np.float32] | None:
    """The colour of empty glass, (3,) float32 RGB of 0..255; None where the picture shows none."""
    lowest = thumbnail.min(axis=2)
    bright = (lowest >= GLASS_MIN_LEVEL) & (thumbnail.max(axis=2) - lowest <= GLASS_MAX_CHROMA) & ~fill
    if bright.sum() < GLASS_MIN_SHARE * max(int((~fill).sum()), 1):
        return None
    peak = find_brightest_peak(lowest[bright])
    near = bright & (np.abs(lowest.astype(np.int16) - peak) <= GLASS_WIDTH)
    return np.asarray(np.median(thumbnail[near], axis=0), np.float32)


def is_dark(thumbnail: NDArray[np.uint8]) -> bool:
    """Whether a picture, (h, w, 3) uint8 RGB, is mostly black, as fluorescence is and bright field is not."""
    return float(np.median(thumbnail.max(axis=2))) < DARK_LEVEL


def find_brightest_peak(levels: NDArray[np.uint8]) -> int:
    """The most frequent gray level among the brightest, so that pale tissue is not taken for glass."""
    counts = np.bincount(levels, minlength=256).astype(np.float64)
    smooth = np.convolve(counts, np.ones(5) / 5, mode="same")
    from_top = np.cumsum(counts[::-1])[::-1]
    start = int(np.flatnonzero(from_top >= 0.05 * len(levels))[-1]) - GLASS_WIDTH
    return max(start, 0) + int(np.argmax(smooth[max(start, 0) :]))


def differ_from_glass(
    thumbnail: NDArray[np.uint8], glass: NDArray[np.float32], fill: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Where colour, darkness or texture is not that of glass."""
    density = measure_density(thumbnail, glass)
    density[fill] = 0
    mean = density.mean(axis=2)
    chroma = density.max(axis=2) - density.min(axis=2)
    spread = cv2.blur(mean * mean, (3, 3)) - cv2.blur(mean, (3, 3)) ** 2
    texture = np.sqrt(np.maximum(spread, 0))
    found: NDArray[np.bool_] = (mean > TISSUE_DENSITY) | (chroma > TISSUE_CHROMA) | (texture > TISSUE_TEXTURE)
    return found


def measure_density(thumbnail: NDArray[np.uint8], glass: NDArray[np.float32]) -> NDArray[np.float32]:
    """(h, w, 3) float32 optical density of each channel over glass (0 is glass, 1 a tenth of its light)."""
    density = np.log10(np.arange(1, 257, dtype=np.float32))
    return np.asarray(np.log10(glass + 1) - density[thumbnail], np.float32)


def find_pen(thumbnail: NDArray[np.uint8], glass: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Where a green, blue or black pen wrote; red ones look like eosin and stay."""
    density = measure_density(thumbnail, glass)
    red, green = density[..., 0], density[..., 1]
    coloured = (red > PEN_RED_DENSITY) & (red > green + PEN_RED_EXCESS)
    found: NDArray[np.bool_] = coloured | (thumbnail.max(axis=2) < PEN_BLACK_LEVEL)
    return found
