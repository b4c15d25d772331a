"""Painting muscle and collagen with stain: wavy parallel bundles with few, slender nuclei."""

from __future__ import annotations

import cv2
import numpy as np

from glandseg.synthetic.canvas import F32, F64, Canvas, smooth_noise


def paint_muscle(canvas: Canvas, rng: np.random.Generator) -> None:
    """Fill the canvas with bundles of one main direction and of random density, thickness and color.

    Args:
        canvas: Canvas; its content is replaced.
        rng: The only source of randomness.
    """
    height, width = canvas.eosin.shape
    angle = rng.uniform(0, np.pi)
    along = np.array([np.cos(angle), np.sin(angle)])
    across_um = _measure_across(canvas, along, rng)
    bundles = _weave(across_um, rng.uniform(6.0, 25.0), rng)
    bundles += 0.7 * _weave(across_um, rng.uniform(2.0, 5.0), rng)
    patches = smooth_noise(rng, (height, width), 60.0 / canvas.um_per_px)
    pink, contrast = rng.uniform(30.0, 95.0), rng.uniform(0.1, 0.45)
    density = np.clip(1.0 + contrast * bundles + 0.15 * patches, 0.05, 2.5)
    canvas.eosin[:] = np.clip(pink * density, 2, 255)
    canvas.hematoxylin[:] = np.clip(rng.uniform(0.08, 0.35) * pink * density, 1, 255)
    _paint_nuclei(canvas, along, rng)


def _measure_across(canvas: Canvas, along: F64, rng: np.random.Generator) -> F32:
    """Compute each px's position across the bundles, which waves bend; (H, W) in um."""
    height, width = canvas.eosin.shape
    y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(canvas.um_per_px)
    height_um = rng.uniform(5.0, 30.0)
    waves = height_um * smooth_noise(rng, (height, width), rng.uniform(60.0, 200.0) / canvas.um_per_px)
    across: F32 = (y * along[0] - x * along[1] + waves).astype(np.float32)
    return across


def _weave(across_um: F32, width_um: float, rng: np.random.Generator) -> F32:
    """Draw bundles of about `width_um`: noise (H, W) that depends on the position across them alone."""
    steps = rng.standard_normal(4096).astype(np.float32)
    place = np.mod(across_um / width_um, 4095.0).astype(np.float32)
    woven: F32 = cv2.remap(steps[None], place, np.zeros_like(place), cv2.INTER_LINEAR)
    return woven


def _paint_nuclei(canvas: Canvas, along: F64, rng: np.random.Generator) -> None:
    height, width = canvas.eosin.shape
    area_um2 = height * width * canvas.um_per_px**2
    count = int(area_um2 / np.exp(rng.uniform(np.log(150.0), np.log(1500.0))))
    turn = rng.normal(np.arctan2(along[1], along[0]), rng.uniform(0.1, 0.5), count)
    centres_um = rng.random((count, 2)) * np.array([width, height]) * canvas.um_per_px
    axes_um = np.stack([rng.uniform(4.0, 10.0, count), rng.uniform(1.0, 2.4, count)], axis=1)
    inks = np.stack([rng.uniform(60.0, 220.0, count), rng.uniform(35.0, 60.0, count)], axis=1)
    canvas.stamp(centres_um, axes_um, np.stack([np.cos(turn), np.sin(turn)], axis=1), inks)
