"""Gland probabilities of an image or a small plane, computed in memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import Backend
from glandseg.model.card import GLAND
from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.tiling.blend import blend_windows
from glandseg.runtime.tiling.grid import Grid
from glandseg.slides.plane import ImagePlane, Plane


def segment_plane(plane: Plane, backend: Backend, *, batch: int = 8) -> NDArray[np.uint8]:
    """Run the network over a plane and blend its windows.

    Args:
        plane: Plane at the model's um/px.
        backend: Network, ready to run.
        batch: Windows per call.

    Returns:
        (H, W) uint8 of p(gland), 255 for certainty.
    """
    grid = Grid(plane.width_px, plane.height_px)
    places = [(i, j) for i in range(len(grid.rows)) for j in range(len(grid.columns))]
    done: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        windows = np.stack([plane.read(grid.columns[j], grid.rows[i], WINDOW_PX, WINDOW_PX) for i, j in part])
        done.update(zip(part, backend.infer(windows)[:, GLAND], strict=True))
    return blend_windows(grid, lambda i, j: done[i, j], 0, 0, plane.height_px, plane.width_px)[0]


def segment_image(image: NDArray[np.uint8], backend: Backend, *, batch: int = 8) -> NDArray[np.uint8]:
    """Compute p(gland), (H, W) uint8, of an (H, W, 3) uint8 RGB image at the model's um/px."""
    return segment_plane(ImagePlane(image), backend, batch=batch)
