"""Connected regions of a map, found in bands of rows so that memory does not grow with it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

BAND_PX = 1 << 22  # pixels labelled at once


def find_regions(probability: NDArray[np.uint8], cut: int, least_px2: float) -> NDArray[np.int64]:
    """Finds the regions whose box can hold an outline of `least_px2`.

    Returns:
        (N, 6) int64 in reading order: top, left, bottom, right (ends excluded), row and column of the
        region's first pixel.
    """
    boxes, joins = _label_bands(probability, cut)
    boxes = _merge_boxes(boxes, _find_roots(len(boxes), joins))
    reach_px2 = (boxes[:, 2] - boxes[:, 0] + 1) * (boxes[:, 3] - boxes[:, 1] + 1)
    boxes = boxes[reach_px2 >= least_px2]
    boxes = boxes[np.lexsort((boxes[:, 4], boxes[:, 1], boxes[:, 0]))]
    return np.column_stack([boxes[:, :4], *np.divmod(boxes[:, 4], probability.shape[1])])


def _label_bands(probability: NDArray[np.uint8], cut: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Labels the map in bands of rows.

    Returns:
        (N, 5) int64 boxes of the bands' regions (top, left, bottom, right, flat index of the first pixel),
        and (M, 2) int64 pairs of regions that meet across a border between bands.
    """
    height, width = probability.shape
    boxes, joins = [np.empty((0, 5), np.int64)], [np.empty((0, 2), np.int64)]
    count, above = 0, np.full(width, -1)
    rows = max(1, BAND_PX // max(1, width))
    for top in range(0, height if width else 0, rows):
        band = (probability[top : top + rows] >= cut).view(np.uint8)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(band, connectivity=4, ltype=cv2.CV_32S)
        left, upper, wide, high = stats[1:, :4].T.astype(np.int64)
        first = _find_first_pixels(labels, len(stats))[1:] + top * width
        boxes.append(np.column_stack([top + upper, left, top + upper + high, left + wide, first]))
        ids = np.where(labels[[0, -1]] > 0, labels[[0, -1]].astype(np.int64) + (count - 1), -1)
        touching = (above >= 0) & (ids[0] >= 0)
        joins.append(np.unique(np.column_stack([above[touching], ids[0][touching]]), axis=0))
        count, above = count + len(stats) - 1, ids[1]
    return np.concatenate(boxes), np.concatenate(joins)


def _find_first_pixels(labels: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    """Returns, for each label below `count`, the flat index of its first pixel in reading order."""
    flat = labels.ravel()
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])
    first = np.zeros(count, np.int64)
    first[flat[starts[::-1]]] = starts[::-1]  # the last assignment to an index wins
    return first


def _find_roots(count: int, joins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns, for each of `count` regions, the lowest region that the joins connect it to."""
    parent = list(range(count))

    def root_of(region: int) -> int:
        while parent[region] != region:
            parent[region] = region = parent[parent[region]]
        return region

    for one, other in joins.tolist():
        low, high = sorted((root_of(one), root_of(other)))
        parent[high] = low
    return np.array([root_of(region) for region in range(count)], np.int64)


def _merge_boxes(boxes: NDArray[np.int64], roots: NDArray[np.int64]) -> NDArray[np.int64]:
    merged: NDArray[np.int64] = boxes.copy()
    for column, widen in enumerate((np.minimum, np.minimum, np.maximum, np.maximum, np.minimum)):
        widen.at(merged[:, column], roots, boxes[:, column])
    return merged[np.flatnonzero(roots == np.arange(len(roots)))]
