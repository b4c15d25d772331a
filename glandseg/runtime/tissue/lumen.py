"""Unstained pixels inside glands: the clear lumen that the table reports."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tissue.background import GLASS_MIN_LEVEL, count_levels, find_quantile

UNSTAINED_SHARE = 0.85  # of the glass's light in every channel
BRIGHTEST_SHARE = 0.995  # stands for glass where an image shows none


def estimate_white_point(
    thumbnail: NDArray[np.uint8], glass: NDArray[np.float32] | None
) -> NDArray[np.float32]:
    """Give the light that passes where nothing is stained, (3,) float32 RGB in 0..255.

    Args:
        thumbnail: (h, w, 3) uint8 RGB of the slide.
        glass: its color of glass; where there is none, the brightest pixels stand in, as bright as glass
            must be at least.
    """
    if glass is not None:
        return glass
    brightest = [find_quantile(count_levels(channel), BRIGHTEST_SHARE) for channel in cv2.split(thumbnail)]
    return np.maximum(brightest, GLASS_MIN_LEVEL).astype(np.float32)


def mark_unstained(pixels: NDArray[np.uint8], white_point: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Mark the px that let nearly all light pass in every channel.

    Args:
        pixels: (h, w, 3) uint8 RGB.
        white_point: (3,) RGB in 0..255 of unstained glass.

    Returns:
        (h, w) uint8 of 0 and 1.
    """
    least = np.ceil(np.float32(UNSTAINED_SHARE) * white_point).astype(np.float64)
    return np.asarray(cv2.inRange(pixels, tuple(least), (255.0, 255.0, 255.0)) & 1, np.uint8)
