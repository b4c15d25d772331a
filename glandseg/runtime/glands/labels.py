"""Gland labels of an image: the glands that the tracer finds in its map, drawn at the image's own px.

Drawn from the contours, not enlarged from the map's px: the contours run between the px of the map, so that a
gland keeps its outline at any um/px, and the labels hold exactly the glands that a slide's outputs would.
"""

from __future__ import annotations

import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.glands.tracer import open_tracer
from glandseg.runtime.maps.rasterize import draw_strips
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.settings import InferSettings


def label_glands(
    probability: NDArray[np.uint8],
    settings: InferSettings,
    *,
    um_per_px: float,
    image_px_per_px: float,
    shape: tuple[int, int],
) -> NDArray[np.int32]:
    """Label the glands of a map: cut, cleaned and numbered as in the outputs of a slide.

    Args:
        probability: (h, w) uint8 of p(gland), 255 for certainty.
        settings: Threshold, minimum gland and minimum lumen; the rest is not used.
        um_per_px: Microns per px of the map.
        image_px_per_px: Px of the image per px of the map.
        shape: Height and width of the image.

    Returns:
        (H, W) int32 of `shape`: the number of the gland, from 1 in reading order, in which the px's centre
        lies; 0 for none.
    """
    labels = np.zeros(shape, np.int32)
    extent_px = shape[1] / image_px_per_px, shape[0] / image_px_per_px
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        laid, unstained = (
            opened.enter_context(TileMap(Path(folder) / name, *probability.shape))
            for name in ("probability.map", "unstained.map")
        )
        laid.write(0, 0, probability)
        tracer = opened.enter_context(
            open_tracer(laid, unstained, Path(folder), settings, um_per_px=um_per_px, extent_px=extent_px)
        )
        for gland in tracer.finish():
            outline = shapely.transform(gland.polygon_px, lambda xy: xy * image_px_per_px)
            for top, left, body in draw_strips(outline):
                part = labels[top : top + body.shape[0], left : left + body.shape[1]]
                part[body[: part.shape[0], : part.shape[1]]] = gland.number
    return labels
