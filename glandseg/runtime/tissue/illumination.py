"""Warnings on a slide's illumination: no background to be seen, or colors that look inverted."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_FILL = 0.05  # share of a slide above which white or black fill stands for background
COLORED_LEVELS = 20  # between the channels of a px that has a color
GREEN_LEVELS = 8  # by which green exceeds the others in inverted tissue: stains absorb it most
MIN_COLORED = 0.1  # of the slide, for a verdict on its colors
MIN_GREEN = 0.5  # of its colored px

NO_BACKGROUND = (
    "no background found, so that the whole slide counts as tissue: tissue area and windows may be too many"
)
INVERTED = "green is the brightest channel of the tissue: inverted colors, green light, or no H&E stain"


def list_illumination_warnings(
    thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_], *, has_background: bool, is_crop: bool
) -> tuple[str, ...]:
    """List warnings on the illumination of a slide.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        fill: (h, w) bool, px that the scanner filled in.
        has_background: Whether background was found.
        is_crop: Whether the image is so small that all of it is tissue on purpose.
    """
    if has_background:
        return ()
    warnings = [INVERTED] if looks_inverted(thumbnail, fill) else []
    if not is_crop and np.count_nonzero(fill) < MAX_FILL * fill.size:
        warnings.append(NO_BACKGROUND)
    return tuple(warnings)


def looks_inverted(thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_]) -> bool:
    """Return whether most colored px of (h, w, 3) uint8 RGB are green, as inverted H&E is."""
    red, green, blue = (np.asarray(channel, np.int16) for channel in cv2.split(thumbnail))
    highest, lowest = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    colored = (highest - lowest >= COLORED_LEVELS) & ~fill
    count = int(np.count_nonzero(colored))
    greenish = colored & (green - np.maximum(red, blue) >= GREEN_LEVELS)
    return bool(count >= MIN_COLORED * fill.size and np.count_nonzero(greenish) > MIN_GREEN * count)
