"""Painting stroma with stain: fibres, clefts, cells and vessels."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.synthetic.canvas import F32, F64, Canvas, smooth_noise

_NUCLEI_PER_UM2 = 1.0 / 120.0
_LYMPHOCYTES_PER_UM2 = 1.0 / 35.0
_VESSELS_PER_UM2 = 1.0 / 25000.0
_FAR_UM = 90.0


def paint_stroma(canvas: Canvas, glands: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Fill the canvas with fibres that run round the glands, clefts, cells and vessels.

    Cells crowd between glands and thin out away from them, as from lamina propria to submucosa.

    Args:
        canvas: Canvas; its content is replaced.
        glands: Mask of glands, (H, W) bool, free of stroma cells.
        rng: The only source of randomness.
    """
    away_um = _measure_away(canvas, glands)
    _paint_fibres(canvas, away_um, rng)
    _paint_vessels(canvas, away_um, rng)
    _paint_stroma_cells(canvas, away_um, rng)


def paint_lymphoid(canvas: Canvas, glands: NDArray[np.bool_], rng: np.random.Generator) -> None:
    """Fill the canvas with stroma that lymphocytes crowd, as in a follicle.

    Args:
        canvas: Canvas; its content is replaced.
        glands: Mask of glands, (H, W) bool, free of cells.
        rng: The only source of randomness.
    """
    paint_stroma(canvas, glands, rng)
    density = _LYMPHOCYTES_PER_UM2 * rng.uniform(0.6, 1.3)
    centres_um = _scatter(canvas, _measure_away(canvas, glands), density, rng)
    count = len(centres_um)
    radii_um = rng.uniform(2.4, 3.6, (count, 1)) * rng.uniform(0.85, 1.15, (count, 2))
    inks = np.stack([rng.uniform(140.0, 240.0, count), rng.uniform(30.0, 60.0, count)], axis=1)
    canvas.stamp(centres_um, radii_um, _random_directions(rng, count), inks)


def _measure_away(canvas: Canvas, glands: NDArray[np.bool_]) -> F32:
    """Measure the distance of each px to the next gland in um, up to `_FAR_UM`."""
    away_px = cv2.distanceTransform((~glands).astype(np.uint8), cv2.DIST_L2, 3)
    away_um: F32 = np.minimum(away_px, _FAR_UM / canvas.um_per_px) * np.float32(canvas.um_per_px)
    return away_um


def _paint_fibres(canvas: Canvas, away_um: F32, rng: np.random.Generator) -> None:
    def noise(grain_um: float) -> F32:
        return smooth_noise(rng, (away_um.shape[0], away_um.shape[1]), grain_um / canvas.um_per_px)

    fibres = np.sin(np.minimum(away_um, 60.0) * 0.7 + 5.0 * noise(36.0) + 2.2 * noise(9.0)) + 0.4 * noise(3.0)
    loose = 0.85 + 0.9 * noise(45.0) + 0.55 * fibres + 0.4 * noise(7.0)
    density = np.clip(loose * 1.6, 0.05, 1.0)
    canvas.eosin[:] = np.clip((42.0 + 23.0 * fibres) * density, 3, 255)
    canvas.hematoxylin[:] = np.clip((11.0 + 5.0 * fibres) * density, 2, 255)


def _scatter(canvas: Canvas, away_um: F32, per_um2: float, rng: np.random.Generator) -> F64:
    """Draw random points (N, 2) xy in um outside the glands, fewer far from them."""
    height, width = away_um.shape
    points_px = rng.random((int(per_um2 * away_um.size * canvas.um_per_px**2), 2)) * [width, height]
    column, row = points_px.astype(np.int64).T
    away = away_um[row, column]
    crowding = np.interp(away, [20.0, _FAR_UM], [1.0, 0.55])
    kept = (away > 0) & (rng.random(len(away)) < crowding)
    points_um: F64 = points_px[kept] * canvas.um_per_px
    return points_um


def _paint_stroma_cells(canvas: Canvas, away_um: F32, rng: np.random.Generator) -> None:
    centres_um = _scatter(canvas, away_um, _NUCLEI_PER_UM2, rng)
    count = len(centres_um)
    spindle = rng.random(count) < 0.3
    width_um = np.where(spindle, rng.uniform(1.2, 1.9, count), rng.uniform(2.3, 3.4, count))
    length_um = np.where(spindle, rng.uniform(5.0, 8.0, count), width_um * rng.uniform(1.0, 1.4, count))
    inks = np.stack([rng.uniform(150.0, 240.0, count), rng.uniform(35.0, 60.0, count)], axis=1)
    directions = _random_directions(rng, count)
    body_um = np.stack([width_um * 1.9, width_um * 1.5], axis=1)
    plasma = rng.random(count) < 0.35
    canvas.stamp(
        centres_um[plasma] + directions[plasma] * 1.5,
        body_um[plasma],
        directions[plasma],
        np.tile([50.0, 65.0], (int(plasma.sum()), 1)),
    )
    canvas.stamp(centres_um, np.stack([length_um, width_um], axis=1), directions, inks)


def _paint_vessels(canvas: Canvas, away_um: F32, rng: np.random.Generator) -> None:
    """Paint clusters of red blood cells."""
    centres_um = _scatter(canvas, away_um, _VESSELS_PER_UM2, rng)
    cells = np.repeat(centres_um, rng.integers(3, 14, len(centres_um)), axis=0)
    cells += rng.standard_normal(cells.shape) * [6.0, 4.0]
    axes_um = rng.uniform(2.2, 3.2, (len(cells), 1)) * [1.1, 0.9]
    inks = np.stack([rng.uniform(8.0, 20.0, len(cells)), rng.uniform(120.0, 170.0, len(cells))], axis=1)
    canvas.stamp(cells, axes_um, _random_directions(rng, len(cells)), inks)


def _random_directions(rng: np.random.Generator, count: int) -> F64:
    angles = rng.uniform(0.0, 2.0 * np.pi, count)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1)
