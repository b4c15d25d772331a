"""Unstained pixels inside glands: the clear lumen that the table reports."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glass import GLASS_MIN_LEVEL
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.probability import create_map

UNSTAINED_SHARE = 0.85  # of the glass's light in every channel
BLOCK_PX = 2048
BAND_PX = 256
BRIGHTEST_PERCENT = 99.5  # stands for glass where a picture shows none


def estimate_light(thumbnail: NDArray[np.uint8], glass: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """Give the light that passes where nothing is stained, (3,) float32 RGB in 0..255.

    Args:
        thumbnail: (h, w, 3) uint8 RGB of the slide.
        glass: its colour of glass; where there is none, the brightest pixels stand in, as bright as glass
            must be at least.
    """
    if glass is not None:
        return glass
    brightest = np.percentile(thumbnail.reshape(-1, 3), BRIGHTEST_PERCENT, axis=0)
    return np.maximum(brightest, GLASS_MIN_LEVEL).astype(np.float32)


def map_unstained(
    plane: SlidePlane,
    probability: NDArray[np.uint8],
    light: NDArray[np.float32],
    path: Path,
    *,
    threshold: float,
) -> NDArray[np.uint8]:
    """Mark the pixels of glands that let nearly all light pass.

    Args:
        plane: the slide at the map's um/px.
        probability: (H, W) uint8 of p(gland); only blocks that hold gland are read.
        light: (3,) RGB in 0..255 of unstained glass.
        path: where the map is kept.
        threshold: least probability of gland, 0..1.

    Returns:
        (H, W) uint8 of 0 and 1, memory-mapped.
    """
    out = create_map(path, plane)
    for y in range(0, plane.height_px, BAND_PX):
        for x in range(0, plane.width_px, BLOCK_PX):
            block = (slice(y, y + BAND_PX), slice(x, x + BLOCK_PX))
            if probability[block].max() >= threshold * 255:
                height, width = probability[block].shape
                out[block] = (plane.read(x, y, width, height) >= UNSTAINED_SHARE * light).all(axis=2)
    return out
