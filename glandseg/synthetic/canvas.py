"""Two stain layers, painted with outlines and ellipses given in micrometres."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

U8: TypeAlias = NDArray[np.uint8]
I32: TypeAlias = NDArray[np.int32]
F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Ink: TypeAlias = tuple[float, float]
"""Amount of hematoxylin and eosin, each in hundredths of optical density, 0-255."""

_FIXED_POINT_BITS = 4
_SPREAD_PX = 0.4
"""Growth of a shape by its antialiased edge."""
_TURN = np.linspace(0.0, 2.0 * np.pi, 14, endpoint=False)
_CIRCLE = np.stack([np.cos(_TURN), np.sin(_TURN)], axis=1)


def to_fixed_px(points_um: F64, um_per_px: float) -> NDArray[np.int32]:
    """Convert points (..., 2) xy to px, as OpenCV's fixed-point integers."""
    points_px = points_um / um_per_px - 0.5
    fixed: NDArray[np.int32] = np.rint(points_px * 2**_FIXED_POINT_BITS).astype(np.int32)
    return fixed


def fill_mask(mask: U8 | I32, outline_um: F64, um_per_px: float, value: int = 1) -> None:
    """Set every px of `mask` inside the outline (N, 2) xy to `value`."""
    cv2.fillPoly(mask, [to_fixed_px(outline_um, um_per_px)], value, cv2.LINE_8, _FIXED_POINT_BITS)


def smooth_noise(rng: np.random.Generator, shape: tuple[int, int], grain_px: float) -> F32:
    """Draw noise (H, W) of mean 0 and SD about 0.6 with grains about `grain_px` wide."""
    cells_hw = [max(2, round(side / grain_px) + 1) for side in shape]
    grid = rng.standard_normal(cells_hw, dtype=np.float32)
    noise: F32 = cv2.resize(grid, shape[::-1], interpolation=cv2.INTER_CUBIC)
    return noise


class Canvas:
    """The layers of the two stains.

    Attributes:
        hematoxylin: (H, W) uint8, hundredths of optical density.
        eosin: (H, W) uint8, likewise.
        um_per_px: um per px.
    """

    def __init__(self, shape: tuple[int, int], um_per_px: float) -> None:
        self.hematoxylin: U8 = np.zeros(shape, np.uint8)
        self.eosin: U8 = np.zeros(shape, np.uint8)
        self.um_per_px = um_per_px

    def fill(self, outline_um: F64, ink: Ink) -> None:
        """Paint the inside of an outline (N, 2) xy."""
        points = [to_fixed_px(outline_um, self.um_per_px)]
        for layer, amount in zip((self.hematoxylin, self.eosin), ink, strict=True):
            cv2.fillPoly(layer, points, min(amount, 255.0), cv2.LINE_AA, _FIXED_POINT_BITS)

    def trace(self, outline_um: F64, ink: Ink, width_um: float) -> None:
        """Paint a line of about `width_um` along a closed outline (N, 2) xy."""
        points = [to_fixed_px(outline_um, self.um_per_px)]
        width_px = max(1, round(width_um / self.um_per_px))
        for layer, amount in zip((self.hematoxylin, self.eosin), ink, strict=True):
            cv2.polylines(layer, points, True, min(amount, 255.0), width_px, cv2.LINE_AA, _FIXED_POINT_BITS)

    def stamp(self, centres_um: F64, axes_um: F64, directions: F64, inks: F64) -> None:
        """Paint ellipses, in order.

        Args:
            centres_um: Centres, (N, 2) xy.
            axes_um: (N, 2): half length along the direction and half width across it.
            directions: Unit vectors, (N, 2) xy.
            inks: (N, 2): hematoxylin and eosin, hundredths of optical density.
        """
        across = np.stack([-directions[:, 1], directions[:, 0]], axis=1)
        drawn_um = np.maximum(axes_um - _SPREAD_PX * self.um_per_px, 0.3 * self.um_per_px)
        frames = np.stack([directions, across], axis=1) * drawn_um[:, :, None]  # (N, axis, xy)
        outlines = to_fixed_px(centres_um[:, None] + _CIRCLE @ frames, self.um_per_px)
        for outline, (blue, pink) in zip(outlines, np.minimum(inks, 255.0).tolist(), strict=True):
            cv2.fillConvexPoly(self.hematoxylin, outline, blue, cv2.LINE_AA, _FIXED_POINT_BITS)
            cv2.fillConvexPoly(self.eosin, outline, pink, cv2.LINE_AA, _FIXED_POINT_BITS)

    def mottle(self, rng: np.random.Generator) -> None:
        """Mottle the layers, as chromatin and fibrils do."""
        grain_px = max(1.0, 1.2 / self.um_per_px)
        strength = 0.2 * min(1.0, 1.2 / self.um_per_px)
        for layer in (self.hematoxylin, self.eosin):
            shape = (layer.shape[0], layer.shape[1])
            layer[:] = np.clip(layer * (1.0 + strength * smooth_noise(rng, shape, grain_px)), 0, 255)
