"""Where a slide holds tissue, coarsely: glass, pen and black fill left out; in doubt, kept."""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.errors import BadInputError
from glandseg.runtime.glass import differ_from_glass, find_glass_colour, find_pen
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.reader import Slide

MASK_UM_PER_PX = 8.0
BLOCK_PX = 512  # side of a thumbnail block, and of a smallest unreadable patch that is kept
PICTURE_MM2 = 0.5  # a picture up to this large is a crop: kept whole

FILL_LEVELS = (12, 254)  # at or below, at or above in all channels: painted by the scanner
PEN_EDGE_UM = 24.0  # a stroke's translucent rim
CLOSING_UM = 40.0
MARGIN_UM = 50.0
SPECK_UM2 = 50.0**2
HOLE_UM2 = 5e5  # enclosed gaps up to 0.5 mm2 are lumina and clefts, kept with the tissue


@dataclass(frozen=True, eq=False)
class TissueMask:
    """Which parts of a slide hold tissue; its corner is the slide's corner.

    Attributes:
        mask: (h, w) bool, True for tissue.
        um_per_px: the size of its px.
    """

    mask: NDArray[np.bool_]
    um_per_px: float

    @classmethod
    def everything(cls, width_um: float, height_um: float, um_per_px: float = MASK_UM_PER_PX) -> TissueMask:
        """A mask that leaves nothing out."""
        shape = (max(math.ceil(height_um / um_per_px), 1), max(math.ceil(width_um / um_per_px), 1))
        return cls(np.ones(shape, np.bool_), um_per_px)

    def covers(self, x_um: float, y_um: float, width_um: float, height_um: float) -> bool:
        """Whether a rectangle, counted from the slide's corner, holds any tissue."""
        x0, y0 = (max(math.floor(v / self.um_per_px), 0) for v in (x_um, y_um))
        x1 = max(math.ceil((x_um + width_um) / self.um_per_px), 0)
        y1 = max(math.ceil((y_um + height_um) / self.um_per_px), 0)
        return bool(self.mask[y0:y1, x0:x1].any())

    @property
    def area_mm2(self) -> float:
        """The area of the tissue, margin included."""
        return float(np.count_nonzero(self.mask)) * self.um_per_px**2 / 1e6


def find_tissue(slide: Slide, um_per_px: float = MASK_UM_PER_PX) -> TissueMask:
    """Find tissue on a thumbnail, which takes memory of about 30 bytes per px of the mask.

    Parts that cannot be read are kept, so that whoever reads them next reports them.

    Raises:
        BadInputError: the slide's um/px is unknown.
    """
    plane = SlidePlane(slide, um_per_px)
    area_mm2 = plane.width_px * plane.height_px * um_per_px**2 / 1e6
    if area_mm2 <= PICTURE_MM2:
        return TissueMask(np.ones((plane.height_px, plane.width_px), np.bool_), um_per_px)
    thumbnail, unread = read_thumbnail(plane)
    return TissueMask(mask_tissue(thumbnail, um_per_px) | unread, um_per_px)


def read_thumbnail(plane: SlidePlane) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """The whole plane block by block: (h, w, 3) uint8 RGB, and (h, w) bool where it could not be read."""
    size = (plane.height_px, plane.width_px)
    thumbnail, unread = np.zeros((*size, 3), np.uint8), np.zeros(size, np.bool_)
    for y in range(0, size[0], BLOCK_PX):
        for x in range(0, size[1], BLOCK_PX):
            block = np.s_[y : y + BLOCK_PX, x : x + BLOCK_PX]
            height, width = unread[block].shape
            try:
                thumbnail[block] = plane.read(x, y, width, height)
            except BadInputError:
                unread[block] = True
    return thumbnail, unread


def mask_tissue(thumbnail: NDArray[np.uint8], um_per_px: float) -> NDArray[np.bool_]:
    """Where a thumbnail shows tissue.

    Args:
        thumbnail: (h, w, 3) uint8 RGB.
        um_per_px: the size of its px.

    Returns:
        (h, w) bool, True for tissue.
    """
    fill = (thumbnail.max(axis=2) <= FILL_LEVELS[0]) | (thumbnail.min(axis=2) >= FILL_LEVELS[1])
    glass = find_glass_colour(thumbnail, fill)
    if glass is None:
        return tidy(~fill, um_per_px)
    pen = grow(find_pen(thumbnail, glass), PEN_EDGE_UM / um_per_px)
    return tidy(differ_from_glass(thumbnail, glass, fill) & ~pen & ~fill, um_per_px)


def tidy(mask: NDArray[np.bool_], um_per_px: float) -> NDArray[np.bool_]:
    """Gaps closed, specks dropped, enclosed holes filled, a margin added."""
    shape = make_disc(CLOSING_UM / um_per_px)
    closed = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, shape).astype(np.bool_)
    whole = drop_small(closed, SPECK_UM2 / um_per_px**2)
    return grow(fill_holes(whole, HOLE_UM2 / um_per_px**2), MARGIN_UM / um_per_px)


def drop_small(mask: NDArray[np.bool_], least_px: float) -> NDArray[np.bool_]:
    """The mask without connected parts smaller than `least_px` px."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= least_px
    keep[0] = False
    return np.asarray(keep[labels], np.bool_)


def fill_holes(mask: NDArray[np.bool_], below_px: float) -> NDArray[np.bool_]:
    """The mask with its gaps smaller than `below_px` px filled, unless they reach the slide's edge."""
    gaps = np.pad(~mask, 1, constant_values=True)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(gaps.astype(np.uint8), connectivity=4)
    fill = stats[:, cv2.CC_STAT_AREA] < below_px
    fill[[0, labels[0, 0]]] = False
    return np.asarray(mask | fill[labels][1:-1, 1:-1], np.bool_)


def grow(mask: NDArray[np.bool_], radius_px: float) -> NDArray[np.bool_]:
    """The mask with a margin all around."""
    return np.asarray(cv2.dilate(mask.astype(np.uint8), make_disc(radius_px)), np.bool_)


def make_disc(radius_px: float) -> NDArray[np.uint8]:
    """A disc for morphology, at least 3 px across."""
    side = 2 * max(round(radius_px), 1) + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)
