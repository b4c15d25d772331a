"""Background under yellow, blue or dim light, where a slide shows none that is bright and colorless.

Under any light background is smooth, nothing is brighter, and its green is not its weakest channel: lamps and
their filters rise or fall from red to blue, while haematoxylin, eosin and their mixtures absorb green most.
Without this test pale eosin that fills a slide would pass for background, and its glands would be lost. In
doubt there is no background, and the whole slide counts as tissue.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MIN_LEVEL = 80  # of background in every channel; below, a slide is dark rather than dim
MAX_TINT = 0.4  # share of its highest channel by which the lowest may fall short
GREEN_SLACK = 0.03  # share by which green may be below the weaker of red and blue: a tilted white balance
MAX_DEVIATION = 3.0  # levels, of each channel within 3 x 3 px
SAME_LEVELS = 6  # around the background's color that belong to it, in each channel
MIN_SHARE = 0.02  # of the slide that must be background
BRIGHTER_LEVELS = 8  # above it in every channel: reflections, or the true background
MAX_BRIGHTER = 0.01  # of the slide


def find_tinted_background(
    thumbnail: NDArray[np.uint8], fill: NDArray[np.bool_]
) -> NDArray[np.float32] | None:
    """Find the color of the background under any lamp.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        fill: (h, w) bool, px that the scanner filled in.

    Returns:
        (3,) float32 RGB in 0..255; None where no color is surely the background's.
    """
    seen = max(fill.size - int(np.count_nonzero(fill)), 1)
    smooth = _mark_smooth(thumbnail) & ~fill
    color = _find_brightest_color(thumbnail[smooth], MIN_SHARE * seen)
    if color is None:
        return None
    red, green, blue = color
    low, high = min(red, green, blue), max(red, green, blue)
    if low < MIN_LEVEL or high - low > MAX_TINT * high or green < (1 - GREEN_SLACK) * min(red, blue):
        return None
    brighter = cv2.inRange(thumbnail, tuple(color + BRIGHTER_LEVELS), (255.0, 255.0, 255.0)) > 0
    if np.count_nonzero(brighter & ~fill) > MAX_BRIGHTER * seen:
        return None
    return color.astype(np.float32)


def _mark_smooth(thumbnail: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark where no channel varies within 3 x 3 px, (h, w) bool."""
    smooth = np.ones(thumbnail.shape[:2], np.bool_)
    for channel in cv2.split(thumbnail):
        levels = np.asarray(channel, np.float32)
        variance = cv2.blur(levels * levels, (3, 3)) - cv2.blur(levels, (3, 3)) ** 2
        smooth &= variance <= MAX_DEVIATION**2
    return smooth


def _find_brightest_color(pixels: NDArray[np.uint8], min_count: float) -> NDArray[np.float64] | None:
    """Find the brightest color that at least `min_count` of (N, 3) px have, (3,) float64; None without one.

    It is looked for where the brightest `min_count` px end: in the fullest range of the channels' sum there.
    """
    brightness = pixels.sum(axis=1, dtype=np.int32)
    counts = np.bincount(brightness, minlength=3 * 256)
    from_top = np.cumsum(counts[::-1])[::-1]
    if from_top[0] < min_count:
        return None
    top = int(np.flatnonzero(from_top >= min_count)[-1])
    width = 3 * SAME_LEVELS
    windows = np.convolve(counts, np.ones(width, np.int64), mode="valid")  # of sums from its index on
    start = max(top - width, 0)
    first = start + int(np.argmax(windows[start : top + width]))
    near = pixels[(brightness >= first) & (brightness < first + width)]
    color = np.median(near, axis=0)
    same = (np.abs(near - color) <= SAME_LEVELS).all(axis=1)
    return np.asarray(color, np.float64) if np.count_nonzero(same) >= min_count else None
