"""Artifacts on the background, dropped from the tissue mask: edges of coverslips, and dust."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tissue.background import Marks

LINE_UM = 3000.0  # minimum length of an edge; tissue as thin is never as straight
LINE_WIDTH_UM = 120.0  # maximum width
LINE_STAINED = 0.2  # maximum share of its px that have a stain's color
LINE_RUN = 1.5  # minimum length along a row or column, in widths
LINE_GAP_UM = 80.0  # maximum gap within an edge

DUST_UM2 = 250.0**2
DUST_GRAY = 0.5  # minimum share of its px that are dark without color
DUST_STAINED = 0.1  # maximum share that have a stain's color


def drop_lines(mask: NDArray[np.bool_], marks: Marks, um_per_px: float) -> NDArray[np.bool_]:
    """Drop long, thin, straight and unstained parts of a mask; tissue that they cross is kept.

    Args:
        mask: (h, w) bool.
        marks: Marks of its px.
        um_per_px: Size of a px.
    """
    thin = mask & ~open_mask(mask, (round(LINE_WIDTH_UM / um_per_px),) * 2)
    lines = np.zeros_like(mask)
    for part in list_directions(thin, um_per_px):
        mark_lines(part, marks.stained, um_per_px, lines)
    rim = cv2.dilate(lines.view(np.uint8), np.ones((3, 3), np.uint8)).view(np.bool_)
    return np.asarray(mask & ~(rim & thin & ~marks.stained) & ~lines, np.bool_)


def list_directions(thin: NDArray[np.bool_], um_per_px: float) -> Iterator[NDArray[np.bool_]]:
    """Yield the whole, and its parts along rows and along columns, so that a frame's sides come apart."""
    run = max(round(LINE_RUN * LINE_WIDTH_UM / um_per_px), 3)
    yield thin
    yield open_mask(thin, (run, 1))
    yield open_mask(thin, (1, run))


def mark_lines(
    part: NDArray[np.bool_], stained: NDArray[np.bool_], um_per_px: float, lines: NDArray[np.bool_]
) -> None:
    """Set `lines` where a connected part, small gaps bridged, is a long, thin, straight, unstained line."""
    gap = np.ones((max(round(LINE_GAP_UM / um_per_px), 1) | 1,) * 2, np.uint8)
    bridged = cv2.morphologyEx(part.view(np.uint8), cv2.MORPH_CLOSE, gap)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bridged, connectivity=8)
    reach = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT]) * um_per_px
    for label in np.flatnonzero(reach >= LINE_UM):
        x, y, width, height = stats[label, :4]
        box = np.s_[y : y + height, x : x + width]
        member = (labels[box] == label) & part[box]
        if label > 0 and is_line(member, stained[box], um_per_px):
            lines[box] |= member


def is_line(member: NDArray[np.bool_], stained: NDArray[np.bool_], um_per_px: float) -> bool:
    """Return whether a part fits a long, thin rectangle at any angle, and few px have a stain's color."""
    if np.count_nonzero(member & stained) > LINE_STAINED * np.count_nonzero(member):
        return False
    points = cv2.findNonZero(member.view(np.uint8))
    short, long = sorted((np.array(cv2.minAreaRect(points)[1]) + 1) * um_per_px)
    return bool(long >= LINE_UM and short <= LINE_WIDTH_UM)


def drop_dust(mask: NDArray[np.bool_], marks: Marks, um_per_px: float) -> NDArray[np.bool_]:
    """Drop small connected parts of a mask that are dark and colorless.

    Args:
        mask: (h, w) bool.
        marks: Marks of its px.
        um_per_px: Size of a px.
    """
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=8)
    area = stats[:, cv2.CC_STAT_AREA]
    gray = np.bincount(labels[marks.gray], minlength=count)
    stained = np.bincount(labels[marks.stained], minlength=count)
    dust = (area * um_per_px**2 < DUST_UM2) & (gray >= DUST_GRAY * area) & (stained <= DUST_STAINED * area)
    dust[0] = False
    return mask & ~pick_parts(labels, dust)


def pick_parts(labels: NDArray[np.int32], chosen: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mark where an (h, w) map shows a chosen label, `chosen` being (N,) bool; row by row to save memory."""
    picked = np.empty(labels.shape, np.bool_)
    for row, out in zip(labels, picked, strict=True):
        out[:] = chosen[row]
    return picked


def open_mask(mask: NDArray[np.bool_], wh_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Keep the parts of a mask that hold a rectangle of `wh_px` px, at least 1 px a side."""
    shape = np.ones((max(wh_px[1], 1), max(wh_px[0], 1)), np.uint8)
    return np.asarray(cv2.morphologyEx(mask.view(np.uint8), cv2.MORPH_OPEN, shape), np.bool_)
