"""Gland probabilities of an image or a small plane, returned in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import BATCH, Network
from glandseg.model.card import CORE, GLAND
from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.tiling.adaptive import AdaptiveOrder
from glandseg.runtime.tiling.blend import blend_windows
from glandseg.runtime.tiling.grid import Grid
from glandseg.runtime.tiling.scales import ScalePlane, average_scales
from glandseg.runtime.tiling.window_store import CORE_PLANES, WindowStore
from glandseg.slides.plane import ImagePlane, TiledPlane
from glandseg.slides.scaled_plane import lay_scale


def segment_image(image: NDArray[np.uint8], network: Network, *, batch: int = BATCH) -> NDArray[np.uint8]:
    """Run the network over an image at scale 1 and blend its windows.

    Args:
        image: (H, W, 3) uint8 RGB at the model's um/px.
        network: Network, ready to run.
        batch: Windows per call.

    Returns:
        (H, W) uint8 of p(gland), 255 for certainty.
    """
    plane = ImagePlane(image)
    grid = Grid(plane.width_px, plane.height_px)
    places = [(i, j) for i in range(len(grid.rows)) for j in range(len(grid.columns))]
    done: dict[tuple[int, int], NDArray[np.uint8]] = {}
    for first in range(0, len(places), batch):
        part = places[first : first + batch]
        windows = np.stack([plane.read(grid.columns[j], grid.rows[i], WINDOW_PX, WINDOW_PX) for i, j in part])
        done.update(zip(part, network.infer(windows)[:, GLAND], strict=True))
    return blend_windows(grid, lambda i, j: done[i, j], 0, 0, plane.height_px, plane.width_px)[0]


def segment_plane(
    base: TiledPlane,
    network: Network,
    scales: Sequence[float],
    base_scales: int,
    *,
    keeps_core: bool = False,
    batch: int = BATCH,
) -> list[NDArray[np.uint8]]:
    """Compute the maps of a slide's inference, byte for byte, of a plane that is tissue everywhere.

    Args:
        base: Plane at the model's um/px.
        network: Network, ready to run.
        scales: Scales whose probabilities are averaged.
        base_scales: How many of them, from the first on, run everywhere; the others run only where these are
            uncertain.
        keeps_core: Whether p(core) is wanted too.
        batch: Windows per call.

    Returns:
        (H, W) uint8 of p(gland), 255 for certainty; then of p(core), if wanted.
    """
    planes = [
        ScalePlane(scale=scale, plane=lay_scale(base, scale), wanted=lambda *rectangle_um: True)
        for scale in scales
    ]
    height, width = base.height_px, base.width_px
    with tempfile.TemporaryDirectory() as folder, WindowStore(Path(folder) / "finished.windows") as store:
        order = AdaptiveOrder(
            planes=planes,
            base_scales=base_scales,
            store=store,
            height_px=height,
            width_px=width,
            swath_px=height,
        )
        for step in order:
            for first in range(0, len(step.windows), batch):
                keys = step.windows[first : first + batch]
                windows = np.stack([planes[key.plane].read(key.row, key.column) for key in keys])
                for key, values in zip(keys, network.infer(windows), strict=True):
                    store.append(key, values[GLAND])
                    if keeps_core:
                        store.append(key.core, values[CORE])
        return [
            average_scales(
                planes, [store.get_from(first + i) for i in range(len(planes))], 0, 0, height, width
            )
            for first in ((0, CORE_PLANES) if keeps_core else (0,))
        ]
