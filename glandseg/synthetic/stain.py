"""Conversion of amounts of stain to a camera's colors."""

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
    """Strengths and colors of the stains, lighting and camera.

    Attributes:
        hematoxylin: Strength of the blue stain; 1 is usual.
        eosin: Strength of the pink stain; 1 is usual.
        hematoxylin_rgb: Share of its optical density per channel.
        eosin_rgb: Likewise.
        glass_rgb: Color of the background, 0-255.
        blur_um: SD of the optics' blur.
        noise: SD of the sensor's noise, in gray levels.
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
                raise ValueError(f"stain: {name}: 0 to 100. Received: {getattr(self, name)}.")


def develop(canvas: Canvas, stain: Stain, rng: np.random.Generator) -> U8:
    """Render the stain layers as a camera's image.

    Args:
        canvas: Stain layers.
        stain: Strengths, colors, blur and noise.
        rng: The only source of randomness.

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
    """Compute the transmitted light, (stain, channel, amount), 0-1."""
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
