"""Images as the page holds them: JPEG of the slide, PNG of the probabilities."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.runtime.outputs.encoded_image import encode_image

JPEG_QUALITY = 80
PROBABILITY_PX = 2048  # maximum of the longer side
_BAND_ROWS = 512
_STEPS = 16  # of the probability shown, so that the PNG stays small
_OPACITY = 200  # of p(gland) = 1, of 255


def encode_jpeg(rgb: NDArray[np.uint8]) -> bytes:
    """Encode an (h, w, 3) uint8 RGB image as JPEG."""
    return encode_image(
        ".jpg", cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )


def encode_probability(probability: ReadableMap) -> bytes:
    """Encode a map of probabilities as PNG, at most 2048 px wide or high: cividis, clear where p is 0.

    The map is read once, in bands of rows.
    """
    small = _shrink(probability)
    steps = np.rint(small / np.float32(255) * (_STEPS - 1)) / (_STEPS - 1)
    colors = cv2.applyColorMap(np.rint(steps * 255).astype(np.uint8), cv2.COLORMAP_CIVIDIS)
    return encode_image(".png", np.dstack([colors, np.rint(steps * _OPACITY).astype(np.uint8)]))


def _shrink(probability: ReadableMap) -> NDArray[np.uint8]:
    height, width = probability.shape
    step = -(-max(height, width) // PROBABILITY_PX)
    rows = _BAND_ROWS // step * step or step
    bands = [
        _average(probability.read(top, 0, min(top + rows, height), width), step)
        for top in range(0, height, rows)
    ]
    return np.vstack(bands)


def _average(band: NDArray[np.uint8], step: int) -> NDArray[np.uint8]:
    """Average blocks of `step` x `step` px; those at the far edges repeat the last px."""
    height, width = (-(-side // step) * step for side in band.shape)
    whole = np.pad(band, ((0, height - band.shape[0]), (0, width - band.shape[1])), mode="edge")
    size = width // step, height // step
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
