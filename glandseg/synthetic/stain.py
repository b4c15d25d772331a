"""From amounts of stain to the colors that a camera sees."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.synthetic.canvas import F32, U8, Canvas, smooth_noise

_STRIP_ROWS = 512
_SHADING_UM = 900.0


@dataclass(frozen=True, kw_only=True)
class Stain:
    """How strongly the slide was stained, and how it was lit and seen.

    Attributes:
        hematoxylin: strength of the blue stain; 1 is usual.
        eosin: strength of the pink stain; 1 is usual.
        hematoxylin_rgb: share of its optical density per channel.
        eosin_rgb: likewise.
        glass_rgb: color of empty glass, 0-255.
        blur_um: SD of the optics' blur.
        noise: SD of the sensor's noise, in grey levels.
    """

    hematoxylin: float = 1.0
    eosin: float = 1.0
    hematoxylin_rgb: tuple[float, float, float] = (0.65, 0.70, 0.29)
    eosin_rgb: tuple[float, float, float] = (0.12, 0.92, 0.34)
    glass_rgb: tuple[float, float, float] = (243.0, 241.0, 245.0)
    blur_um: float = 0.35
    noise: float = 2.0

    def __post_init__(self) -> None:
        for name in ("hematoxylin", "eosin", "blur_um", "noise"):
            if not 0.0 <= getattr(self, name) <= 100.0:
                raise ValueError(f"stain: {name} must lie in 0-100, received {getattr(self, name)}")


def develop(canvas: Canvas, stain: Stain, rng: np.random.Generator) -> U8:
    """Photograph the stain layers.

    Args:
        canvas: the layers.
        stain: strengths, colors, blur and noise.
        rng: the only source of chance.

    Returns:
        (H, W, 3) uint8 RGB.
    """
    shape = canvas.hematoxylin.shape
    white_point = 1.0 + 0.012 * smooth_noise(rng, shape, _SHADING_UM / canvas.um_per_px)
    table = _transmission(stain)
    image: U8 = np.empty((*shape, 3), np.uint8)
    for top in range(0, shape[0], _STRIP_ROWS):
        rows = slice(top, top + _STRIP_ROWS)
        blue, pink = canvas.hematoxylin[rows], canvas.eosin[rows]
        for channel in range(3):
            grey = cv2.LUT(blue, table[0, channel]) * cv2.LUT(pink, table[1, channel]) * white_point[rows]
            image[rows, :, channel] = grey * stain.glass_rgb[channel]
    cv2.GaussianBlur(image, (0, 0), max(0.3, stain.blur_um / canvas.um_per_px), dst=image)
    return _add_noise(image, stain.noise, rng)


def _transmission(stain: Stain) -> F32:
    """Light that passes, (stain, channel, amount), 0-1."""
    vectors = np.array([stain.hematoxylin_rgb, stain.eosin_rgb])
    strengths = np.array([stain.hematoxylin, stain.eosin])
    density = (vectors * strengths[:, None])[:, :, None] * np.arange(256) / 100.0
    table: F32 = np.exp(-density).astype(np.float32)
    return table


def _add_noise(image: U8, deviation: float, rng: np.random.Generator) -> U8:
    for top in range(0, image.shape[0], _STRIP_ROWS):
        rows = image[top : top + _STRIP_ROWS]
        noisy: NDArray[np.float32] = rows + deviation * rng.standard_normal(rows.shape, dtype=np.float32)
        rows[:] = np.clip(np.rint(noisy), 0, 255).astype(np.uint8)
    return image
