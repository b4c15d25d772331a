"""A coarse mask of a slide's tissue, without background, pen, artifacts and fill.

Background holds no gland and fills most of many slides, so that windows without tissue are skipped. 8 um/px
is fine enough for that, and a whole slide fits in memory. Holes up to 0.5 mm2 are filled, as lumina and
clefts look like background, and a margin is added, as the network needs a gland's surroundings. Whatever is
doubtful stays in, unread regions included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tissue.artifacts import drop_dust, drop_lines, pick_parts
from glandseg.runtime.tissue.background import find_background_color, find_extremes, mark_thumbnail

MASK_UM_PER_PX = 8.0

FILL_LEVELS = (12, 254)  # at or below, at or above in all channels: filled in by the scanner
PEN_EDGE_UM = 24.0  # a stroke's translucent rim
PEN_UM2 = 5e4  # smaller spots are ink on the edge of tissue
CLOSING_UM = 40.0
MARGIN_UM = 50.0
SPECK_UM2 = 50.0**2
HOLE_UM2 = 5e5  # enclosed gaps up to 0.5 mm2 are lumina and clefts, kept with the tissue


@dataclass(frozen=True, eq=False)
class TissueMask:
    """A slide's tissue; the mask's corner is the slide's corner.

    Attributes:
        mask: (h, w) bool, True for tissue.
        um_per_px: Size of its px.
    """

    mask: NDArray[np.bool_]
    um_per_px: float

    @classmethod
    def everything(cls, width_um: float, height_um: float, um_per_px: float = MASK_UM_PER_PX) -> TissueMask:
        """Build a mask that leaves nothing out."""
        shape = (max(math.ceil(height_um / um_per_px), 1), max(math.ceil(width_um / um_per_px), 1))
        return cls(np.ones(shape, np.bool_), um_per_px)

    def covers(self, x_um: float, y_um: float, width_um: float, height_um: float) -> bool:
        """Return whether a rectangle, counted from the slide's corner, holds any tissue."""
        x0, y0 = (max(math.floor(v / self.um_per_px), 0) for v in (x_um, y_um))
        x1 = max(math.ceil((x_um + width_um) / self.um_per_px), 0)
        y1 = max(math.ceil((y_um + height_um) / self.um_per_px), 0)
        return bool(self.mask[y0:y1, x0:x1].any())

    @property
    def area_mm2(self) -> float:
        """The area of the tissue, margin included."""
        return float(np.count_nonzero(self.mask)) * self.um_per_px**2 / 1e6


def mask_tissue(thumbnail: NDArray[np.uint8], um_per_px: float) -> NDArray[np.bool_]:
    """Mark the tissue of a thumbnail.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        um_per_px: Size of its px.

    Returns:
        (h, w) bool, True for tissue.
    """
    return tidy(find_stain(thumbnail, um_per_px), um_per_px)


def find_stain(thumbnail: NDArray[np.uint8], um_per_px: float) -> NDArray[np.bool_]:
    """Mark what is neither background nor fill, pen, coverslip or dust, px by px, (h, w) bool."""
    fill = find_fill(thumbnail)
    background = find_background_color(thumbnail, fill)
    if background is None:
        return ~fill
    marks = mark_thumbnail(thumbnail, background, fill)
    pen = grow(drop_small(marks.pen, PEN_UM2 / um_per_px**2), PEN_EDGE_UM / um_per_px)
    found = marks.differs & ~(pen | fill)
    del fill, pen  # memory
    return drop_dust(drop_lines(found, marks, um_per_px), marks, um_per_px)


def find_fill(thumbnail: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Mark where the scanner filled in black or white, which no background is, (h, w) bool."""
    lowest, highest = find_extremes(thumbnail)
    filled: NDArray[np.bool_] = (highest <= FILL_LEVELS[0]) | (lowest >= FILL_LEVELS[1])
    return filled


def tidy(mask: NDArray[np.bool_], um_per_px: float) -> NDArray[np.bool_]:
    """Close gaps, drop specks, fill enclosed holes and add a margin."""
    shape = make_disc(CLOSING_UM / um_per_px)
    closed = cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_CLOSE, shape)
    whole = drop_small(np.asarray(closed, np.bool_), SPECK_UM2 / um_per_px**2)
    return grow(fill_holes(whole, HOLE_UM2 / um_per_px**2), MARGIN_UM / um_per_px)


def drop_small(mask: NDArray[np.bool_], min_px: float) -> NDArray[np.bool_]:
    """Drop connected parts of a mask smaller than `min_px` px."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= min_px
    keep[0] = False
    return pick_parts(labels, keep)


def fill_holes(mask: NDArray[np.bool_], max_px: float) -> NDArray[np.bool_]:
    """Fill gaps of a mask smaller than `max_px` px, unless they reach the slide's edge."""
    gaps = np.pad(~mask, 1, constant_values=True)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(gaps.view(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] < max_px
    fill[[0, labels[0, 0]]] = False
    return mask | pick_parts(labels[1:-1, 1:-1], fill)


def grow(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """Add a margin around a mask."""
    return np.asarray(cv2.dilate(mask.view(np.uint8), make_disc(radius_px)), np.bool_)


def make_disc(radius_px: float) -> NDArray[np.uint8]:
    """Build a disc for morphology, at least 3 px across."""
    side = 2 * max(round(radius_px), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
