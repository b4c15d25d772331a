"""Outlines of islands of tissue on a slide."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic.canvas import F64


def draw_islands(size_um: F64, rng: np.random.Generator) -> list[F64]:
    """Draw the outlines (N, 2) xy of one or two islands, side by side along the longer axis."""
    count = 1 + int(rng.random() < 0.5)
    axis = int(size_um[1] > size_um[0])
    extent = size_um.copy()
    extent[axis] /= count
    centres = [extent * 0.5 + np.eye(2)[axis] * extent[axis] * i for i in range(count)]
    return [_draw_island(centre, extent * rng.uniform(0.39, 0.43, 2), rng) for centre in centres]


def _draw_island(centre_um: F64, radii_um: F64, rng: np.random.Generator) -> F64:
    turn = np.linspace(0.0, 2.0 * np.pi, 720, endpoint=False)
    reach = np.ones_like(turn)
    for k in range(2, 40):
        reach += rng.uniform(0.0, 0.25 / k**1.6) * np.cos(k * turn + rng.uniform(0.0, 2.0 * np.pi))
    corner = (np.abs(np.cos(turn)) ** 3 + np.abs(np.sin(turn)) ** 3) ** (-1 / 3)  # fuller than an ellipse
    circle = np.stack([np.cos(turn), np.sin(turn)], axis=1)
    outline_um: F64 = centre_um + circle * (reach * corner)[:, None] * radii_um
    return outline_um
