"""Glands traced from a probability map: sub-pixel outlines with lumina, and the mask that matches them.

An object is a 4-connected region of pixels at or above the threshold. Its outline is the level line half
a grey step below, so a pixel's centre lies inside the outline exactly when the pixel is in the mask:
outlines, mask and table count the same glands. Four-connected objects never overlap once traced, and
each is one polygon, whatever touches it by a corner.

Memory: the map is labelled in bands of rows, and each object is traced on its own bounding box, so the
need follows the largest object, not the map: about 0.15 GB, and 6 bytes for each pixel of the largest
object's box (measured with one object as wide as the map).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
import shapely
from contourpy import FillType, contour_generator
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.raster import bounding_window, draw_polygon
from glandseg.runtime.regions import find_regions

STRIP_PX = 1 << 21  # pixels contoured at once; contouring needs about 30 bytes for each
_MIN_OUTLINE_PX2 = 0.25  # fainter specks enclose next to nothing
_SNAP = 2.0**20  # outlines lie on a grid of 2^-20 px, so that strips meet exactly


@dataclass(frozen=True, kw_only=True)
class Gland:
    """One gland.

    Attributes:
        number: 1, 2, … in reading order of the bounding boxes' top-left corners.
        polygon_px: Outline with lumina as holes, in map pixels; x = 0 is the left edge of pixel 0.
        mean_probability: Mean p(gland) over the gland's pixels, 0..1.
        lumen_fraction: Share of the pixels inside the outer outline that are unstained or in a hole, 0..1.
    """

    number: int
    polygon_px: Polygon
    mean_probability: float
    lumen_fraction: float


def trace_glands(
    probability: NDArray[np.uint8],
    unstained: NDArray[np.bool_] | NDArray[np.uint8],
    *,
    um_per_px: float,
    min_gland_um2: float,
    min_lumen_um2: float,
    threshold: float = 0.5,
) -> list[Gland]:
    """Traces every gland of a map; the same map gives the same glands, whatever the band sizes.

    Args:
        probability: (H, W) uint8, 0..255 for p(gland) 0..1; may be a memory map.
        unstained: (H, W) bool or 0/1, pixels that look like glass or clear lumen; may be a memory map.
        um_per_px: Micrometres per map pixel.
        min_gland_um2: Glands of a smaller area (lumina not counted) are dropped.
        min_lumen_um2: Smaller holes are filled; a gland inside one becomes part of the outer gland.
        threshold: Least p(gland) of a gland's pixel, above 0 and up to 1.

    Raises:
        BadInputError: The threshold or the pixel size is out of range.
        ValueError: The arrays do not match.
    """
    _check_arrays(probability, unstained)
    cut = _find_cut(threshold)
    if not (um_per_px > 0 and math.isfinite(um_per_px)):
        raise BadInputError(f"um_per_px: must be a number above 0, got {um_per_px}")
    least_px2 = max(min_gland_um2 / um_per_px**2, _MIN_OUTLINE_PX2)
    glands: list[Gland] = []
    filled: list[Polygon] = []  # filled holes that could hold a gland
    for *box, seed_y, seed_x in find_regions(probability, cut, least_px2).tolist():
        outline = _outline(_raise_relief(probability, box, (seed_y, seed_x), cut), box[0], box[1])
        polygon, closed = _close_holes(outline, min_lumen_um2 / um_per_px**2)
        swallowed = filled and shapely.contains_xy(filled, seed_x + 0.5, seed_y + 0.5).any()
        if polygon.area < least_px2 or swallowed:
            continue
        filled += [hole for hole in closed if hole.area >= least_px2]
        glands.append(_describe(len(glands) + 1, polygon, probability, unstained))
    return glands


def draw_mask(
    glands: Iterable[Gland], shape_hw: tuple[int, int], out: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_]:
    """Draws the glands' pixels, lumina left out: the mask that agrees with the outlines.

    Args:
        glands: What `trace_glands` returned.
        shape_hw: Height and width of the map.
        out: (H, W) bool, all False, drawn into and returned; a memory map keeps it out of memory.

    Returns:
        (H, W) bool.
    """
    mask = np.zeros(shape_hw, bool) if out is None else out
    for gland in glands:
        window = bounding_window(gland.polygon_px)
        mask[window] |= draw_polygon(gland.polygon_px, window)
    return mask


def _check_arrays(probability: NDArray[Any], unstained: NDArray[Any]) -> None:
    if probability.ndim != 2 or probability.dtype != np.uint8:
        raise ValueError(f"probability: must be (H, W) uint8, got {probability.shape} {probability.dtype}")
    if unstained.shape != probability.shape:
        raise ValueError(f"unstained: must be {probability.shape} like probability, got {unstained.shape}")


def _find_cut(threshold: float) -> int:
    """Returns the least grey value of a gland's pixel, 1..255."""
    if not 0 < threshold <= 1:
        raise BadInputError(f"threshold: must be above 0 and at most 1, got {threshold}")
    return max(1, math.ceil(threshold * 255 - 1e-9))


def _raise_relief(
    probability: NDArray[np.uint8], box: Sequence[int], seed_yx: tuple[int, int], cut: int
) -> NDArray[np.int16]:
    """Turns an object's box, and 1 px around it, into heights whose zero line is the object's outline.

    Heights are odd, so none is zero. Beyond the map's edge they mirror the inside with the sign turned,
    which puts the outline on the edge itself.
    """
    (top, left, bottom, right), (height, width) = box, probability.shape
    outside = [(int(top == 0), int(bottom == height)), (int(left == 0), int(right == width))]
    window = probability[max(top - 1, 0) : bottom + 1, max(left - 1, 0) : right + 1]
    window = np.pad(window, outside, mode="edge")
    others = window >= cut
    cv2.floodFill(others.view(np.uint8), None, (seed_yx[1] - left + 1, seed_yx[0] - top + 1), 0)
    relief = window.astype(np.int16)
    relief *= 2
    relief -= 2 * cut - 1
    np.negative(relief, out=relief, where=others)
    for frame in (relief[0], relief[-1], relief[:, 0], relief[:, -1]):
        np.negative(frame, out=frame, where=frame > 0)
    return relief


def _outline(relief: NDArray[np.int16], top: int, left: int) -> Polygon:
    """Draws a relief's zero line in map pixels, in strips that meet on a row of pixel centres."""
    rows = max(1, STRIP_PX // relief.shape[1])
    origin_xy = np.array([left - 0.5, top - 0.5])
    pieces: list[Polygon] = []
    for start in range(0, len(relief) - 1, rows):
        strip = contour_generator(z=relief[start : start + rows + 1], fill_type=FillType.OuterOffset)
        for points, offsets in zip(*cast(Any, strip.filled(0, np.inf)), strict=True):
            points_px = np.round((points + origin_xy + np.array([0, start])) * _SNAP) / _SNAP
            shell, *holes = np.split(points_px, offsets[1:-1])
            pieces.append(Polygon(shell, holes))
    outline = pieces[0] if len(pieces) == 1 else shapely.union_all(pieces)
    return cast(Polygon, shapely.normalize(outline))


def _close_holes(outline: Polygon, least_px2: float) -> tuple[Polygon, list[Polygon]]:
    """Returns the outline with its large holes only, and the holes that were filled."""
    holes = [Polygon(ring) for ring in outline.interiors]
    kept = [hole.exterior for hole in holes if hole.area >= least_px2]
    return Polygon(outline.exterior, kept), [hole for hole in holes if hole.area < least_px2]


def _describe(
    number: int, polygon: Polygon, probability: NDArray[np.uint8], unstained: NDArray[Any]
) -> Gland:
    window = bounding_window(polygon)
    body = draw_polygon(polygon, window)
    whole = np.count_nonzero(draw_polygon(Polygon(polygon.exterior), window))
    mean = float(np.mean(probability[window], where=body, dtype=np.float64)) / 255
    body &= unstained[window] == 0
    lumen = 1 - np.count_nonzero(body) / whole
    return Gland(number=number, polygon_px=polygon, mean_probability=mean, lumen_fraction=lumen)
