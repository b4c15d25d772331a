"""Unstained px inside glands: the clear lumen that the table reports."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tissue.background import BACKGROUND_MIN_LEVEL, count_levels, find_quantile

UNSTAINED_SHARE = 0.85  # of the white point in every channel
BRIGHTEST_SHARE = 0.995  # of px, whose level stands for a background that an image lacks


def estimate_white_point(
    thumbnail: NDArray[np.uint8], background: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Estimate the color of light that passes where nothing is stained, (3,) float32 RGB in 0..255.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        background: (3,) RGB of its background; for None the brightest px stand in, at least as bright as
            background must be.
    """
    if background is not None:
        return background
    brightest = [find_quantile(count_levels(channel), BRIGHTEST_SHARE) for channel in cv2.split(thumbnail)]
    return np.maximum(brightest, BACKGROUND_MIN_LEVEL).astype(np.float32)


def mark_unstained(pixels: NDArray[np.uint8], white_point: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Mark the px that let nearly all light pass in every channel.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        white_point: (3,) RGB in 0..255 of the background.

    Returns:
        (h, w) uint8 of 0 and 1.
    """
    lower = np.ceil(np.float32(UNSTAINED_SHARE) * white_point).astype(np.float64)
    return np.asarray(cv2.inRange(pixels, tuple(lower), (255.0, 255.0, 255.0)) & 1, np.uint8)
