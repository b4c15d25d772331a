"""The glands' outlines as a pyramidal OME-TIFF in RGBA, transparent elsewhere, to lie over the slide.

Each level is drawn by itself, so lines are as wide on the screen whatever the zoom; outlines shrunk with the
image would fade.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.glands.measurements import Measurements
from glandseg.runtime.glands.store import Gland
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.geojson import GLAND_RGB
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands, Warn
from glandseg.runtime.outputs.mask_pyramid import list_boxes
from glandseg.runtime.outputs.ome_tiff import OmeImage, write_pyramid

_LINE_PX = 2  # which OpenCV draws about 3 px wide
_MARGIN_PX = 3  # beyond the outline, of what is drawn
_SHIFT = 4  # fractional bits of drawn coordinates
_PART_PX = 1024.0  # maximum side of what is drawn together
_RGBA = (*GLAND_RGB, 255)


@contextlib.contextmanager
def write_overlay(path: Path, found: SlideGlands, warn: Warn) -> Iterator[AddGland]:
    """Write the outlines of a slide's glands, lumina included, drawn on disk first."""
    um_per_px = found.plane.um_per_px
    image = OmeImage(name="Gland outlines", channel="Outline", um_per_px=um_per_px, samples=len(_RGBA))
    image.check(path)
    height, width = found.mask_shape
    boxes = list_boxes(found.mask_shape)
    with contextlib.ExitStack() as stack:
        levels = [
            stack.enter_context(TileMap(path.with_name(f"overlay-{n}.map"), height // y, width // x))
            for n, (y, x) in enumerate(boxes)
        ]

        def add(gland: Gland, measured: Measurements) -> None:
            for level, (y, x) in zip(levels, boxes, strict=True):
                _draw_outline(level, gland.polygon_px, (x, y))

        yield add
        write_pyramid(path, levels, boxes, image, _color)


def _color(cover: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return (h, w, 4) RGBA of a (h, w) cover: the glands' color, as opaque as the cover; 0 where it is 0."""
    rgba = np.where(cover[..., None] > 0, np.array(_RGBA, np.uint8), np.uint8(0))
    rgba[..., 3] = cover
    return rgba


def _draw_outline(level: TileMap, polygon_px: Polygon, box_xy: tuple[int, int]) -> None:
    """Draw a contour into a level whose px are boxes of that many px wide and high."""
    scaled = shapely.transform(polygon_px, lambda xy: xy / box_xy)
    for ring in (scaled.exterior, *scaled.interiors):
        for line in _split(shapely.get_coordinates(shapely.segmentize(ring, _PART_PX / 2))):
            _draw_line(level, line)


def _split(xy: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
    """Yield a line of (N, 2) points in parts that are small enough to be drawn in memory."""
    if len(xy) == 2 or np.ptp(xy, axis=0).max() <= _PART_PX:
        yield xy
        return
    middle = len(xy) // 2
    yield from _split(xy[: middle + 1])
    yield from _split(xy[middle:])


def _draw_line(level: TileMap, xy: NDArray[np.float64]) -> None:
    height, width = level.shape
    left, top = np.maximum(np.floor(xy.min(axis=0)).astype(int) - _MARGIN_PX, 0).tolist()
    right, bottom = np.ceil(xy.max(axis=0)).astype(int) + _MARGIN_PX
    right, bottom = min(int(right), width), min(int(bottom), height)
    if left >= right or top >= bottom:
        return
    part = level.read(top, left, bottom, right)
    centres = np.round((xy - (left, top) - 0.5) * (1 << _SHIFT)).astype(np.int32)
    cv2.polylines(part, [centres], False, 255, _LINE_PX, cv2.LINE_AA, _SHIFT)
    level.write(top, left, part)
