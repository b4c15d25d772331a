"""Painting crypts with stain."""

from __future__ import annotations

import numpy as np

from glandseg.synthetic.canvas import Canvas
from glandseg.synthetic.crypt import Crypt


def paint_crypt(canvas: Canvas, crypt: Crypt, rng: np.random.Generator) -> None:
    """Paint one crypt over the stroma: gap, cytoplasm, mucin, lumen and basal nuclei."""
    rim_um = crypt.outline_um()
    tone = crypt.tone
    canvas.trace(rim_um, (28.0, 60.0), 2.0 * crypt.halo_um + 5.0)
    canvas.trace(rim_um, (8.0, 16.0), 2.0 * crypt.halo_um + 1.5)
    canvas.fill(rim_um, (85.0 * tone, 50.0 * tone))
    _paint_borders(canvas, crypt, rng)
    _paint_goblets(canvas, crypt, rng)
    _paint_lumen(canvas, crypt, rng)
    for depth_um in (9.5, 5.0) if crypt.goblets > 0.5 else (13.5, 9.0, 5.0):
        _paint_nuclei(canvas, crypt, depth_um, rng)


def _paint_borders(canvas: Canvas, crypt: Crypt, rng: np.random.Generator) -> None:
    """Paint streaks of cytoplasm from the rim to the lumen."""
    feet, directions, lengths = crypt.trace_spokes(4.0)
    count = len(feet)
    centres_um = feet + directions * (lengths * rng.uniform(0.4, 0.75, count))[:, None]
    axes_um = np.stack([lengths * 0.25, rng.uniform(0.6, 1.6, count)], axis=1)
    inks = np.stack([rng.uniform(65.0, 135.0, count), rng.uniform(40.0, 75.0, count)], axis=1)
    canvas.stamp(centres_um, axes_um, directions, inks * crypt.tone)


def _paint_goblets(canvas: Canvas, crypt: Crypt, rng: np.random.Generator) -> None:
    """Paint pale mucin drops side by side between the nuclei and the lumen, narrower towards it."""
    feet, directions, lengths = crypt.trace_spokes(1.0)
    turn = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    for cell in np.linspace(0.0, len(feet), len(feet) // 12, endpoint=False):
        if rng.random() > crypt.goblets:
            continue
        inner = crypt.lumen + rng.uniform(-0.05, 0.1)
        outer = 1.0 - rng.uniform(9.0, 13.0) / crypt.radius_um
        share = (inner + outer) / 2 + (outer - inner) / 2 * np.cos(turn)
        spoke = np.rint(cell + rng.uniform(4.2, 5.8) * np.sin(turn)).astype(int) % len(feet)
        drop_um = feet[spoke] + directions[spoke] * (share * lengths[spoke])[:, None]
        canvas.fill(drop_um, (rng.uniform(20.0, 55.0) * crypt.tone, rng.uniform(10.0, 28.0) * crypt.tone))


def _paint_lumen(canvas: Canvas, crypt: Crypt, rng: np.random.Generator) -> None:
    feet, directions, lengths = crypt.trace_spokes(2.0)
    turn = np.linspace(0.0, 2.0 * np.pi, len(feet), endpoint=False)
    folds = [rng.uniform(0.0, 0.5 / k) * np.cos(k * turn + rng.uniform(0.0, 6.28)) for k in range(2, 16)]
    reach = crypt.lumen * lengths * np.clip(1.0 + np.sum(folds, axis=0), 0.1, 2.0)
    wall_um = feet + directions * reach[:, None]
    content = [(4.0, 4.0), (24.0, 10.0), (18.0, 35.0)][int(rng.choice(3, p=[0.55, 0.3, 0.15]))]
    canvas.fill(wall_um, content)
    canvas.trace(wall_um, (70.0, 50.0), 1.2)


def _paint_nuclei(canvas: Canvas, crypt: Crypt, depth_um: float, rng: np.random.Generator) -> None:
    """Paint one row of nuclei along the rim, their long axes towards the lumen."""
    feet, directions, lengths = crypt.trace_spokes(4.6)
    count = len(feet)
    depth = depth_um + rng.uniform(-1.5, 1.5, count)
    axes_um = np.stack([rng.uniform(3.2, 4.8, count), rng.uniform(1.7, 2.5, count)], axis=1)
    inks = np.stack([rng.uniform(150.0, 225.0, count), rng.uniform(50.0, 75.0, count)], axis=1)
    share = 1.0 if depth_um < 8.0 else 0.75 - 0.6 * crypt.goblets  # the outer row has no gap
    kept = rng.random(count) < share
    centres_um = feet + directions * (lengths - depth)[:, None]
    canvas.stamp(centres_um[kept], axes_um[kept], directions[kept], inks[kept] * crypt.tone)
