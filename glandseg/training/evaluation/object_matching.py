"""Objects of two label images, each matched with the object of the other side that overlaps it most.

Why a bound first: an object without overlap is matched with that of minimum Hausdorff distance (GlaS), so all
pairs would have to be measured, a distance transform each. Two objects are at least as far apart as the sides
of their bounding boxes, so pairs are measured in the order of this bound until it exceeds the minimum found.
Why in the union of two boxes: a transform of the whole image for each pair costs a hundred times as much.
Distances of matched pairs are cached, because most pairs match in both directions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Box = tuple[slice, slice]


@dataclass(frozen=True)
class Matches:
    """The objects of one side, each with its agreement with its match on the other side.

    Attributes:
        area_px: (N,) float64 areas, in px.
        dice: (N,) float64 Dice, 0..1; 0 where nothing overlaps.
        hausdorff_px: (N,) float64 Hausdorff distances, in px.
    """

    area_px: NDArray[np.float64]
    dice: NDArray[np.float64]
    hausdorff_px: NDArray[np.float64]

    def __add__(self, other: Matches) -> Matches:
        """Concatenate the objects of both."""
        return Matches(
            np.concatenate([self.area_px, other.area_px]),
            np.concatenate([self.dice, other.dice]),
            np.concatenate([self.hausdorff_px, other.hausdorff_px]),
        )


def match_objects(
    labels: NDArray[np.int32], others: NDArray[np.int32]
) -> tuple[Matches, Matches, NDArray[np.int64]]:
    """Match the objects of two label images of one shape, in both directions.

    Args:
        labels: (H, W) int32, the N objects numbered from 1, background 0.
        others: (H, W) int32, the M objects of the other side.

    Returns:
        The objects of both sides, and (N, M) int64, the number of pixels that each pair shares.
    """
    counts = int(labels.max()) + 1, int(others.max()) + 1
    pairs = np.bincount((labels * counts[1] + others).ravel(), minlength=counts[0] * counts[1])
    table = pairs.reshape(counts)
    areas, other_areas, overlap = table.sum(1)[1:], table.sum(0)[1:], table[1:, 1:]
    objects, other_objects = _cut_objects(labels), _cut_objects(others)
    bounds = _bound_distances(objects, other_objects)
    diagonal = float(np.hypot(*labels.shape))

    @functools.cache
    def measure(i: int, j: int) -> float:
        return _measure_hausdorff(objects[i], other_objects[j])

    return (
        _match_side(overlap, areas, other_areas, bounds, measure, diagonal),
        _match_side(overlap.T, other_areas, areas, bounds.T, lambda j, i: measure(i, j), diagonal),
        overlap,
    )


@dataclass(frozen=True)
class _Object:
    """One object: its bounding box, and its pixels in it."""

    box: Box
    pixels: NDArray[np.bool_]


def _cut_objects(labels: NDArray[np.int32]) -> list[_Object]:
    places = np.nonzero(labels)
    numbers, count = labels[places] - 1, int(labels.max())
    first, last = np.full((count, 2), max(labels.shape)), np.zeros((count, 2), np.int64)
    for axis, place in enumerate(places):
        np.minimum.at(first[:, axis], numbers, place)
        np.maximum.at(last[:, axis], numbers, place)
    boxes = [
        (slice(y, v + 1), slice(x, w + 1))
        for (y, x), (v, w) in zip(first.tolist(), last.tolist(), strict=True)
    ]
    return [_Object(box, labels[box] == number) for number, box in enumerate(boxes, 1)]


def _bound_distances(objects: Sequence[_Object], others: Sequence[_Object]) -> NDArray[np.int64]:
    """Compute lower bounds of the Hausdorff distances of all pairs from the sides of their boxes."""
    if not objects or not others:
        return np.zeros((len(objects), len(others)), np.int64)
    sides, other_sides = (
        np.array([[edge for part in each.box for edge in (part.start, part.stop)] for each in group])
        for group in (objects, others)
    )
    return np.asarray(np.abs(sides[:, None] - other_sides[None]).max(axis=2))


def _match_side(
    overlap: NDArray[np.int64],
    areas: NDArray[np.int64],
    other_areas: NDArray[np.int64],
    bounds: NDArray[np.int64],
    measure: Callable[[int, int], float],
    diagonal: float,
) -> Matches:
    dice, hausdorff = np.zeros(len(areas)), np.full(len(areas), diagonal)
    for i in range(len(areas) if len(other_areas) else 0):
        match = int(overlap[i].argmax())
        if shared := int(overlap[i, match]):
            dice[i] = 2 * shared / (areas[i] + other_areas[match])
            hausdorff[i] = measure(i, match)
        else:
            hausdorff[i] = _measure_nearest(i, bounds[i], measure)
    return Matches(areas.astype(np.float64), dice, hausdorff)


def _measure_nearest(i: int, bounds: NDArray[np.int64], measure: Callable[[int, int], float]) -> float:
    """Compute the minimum Hausdorff distance to any object of the other side."""
    minimum = np.inf
    for j in np.argsort(bounds, kind="stable").tolist():
        if bounds[j] >= minimum:
            break
        minimum = min(minimum, measure(i, j))
    return float(minimum)


def _measure_hausdorff(first: _Object, second: _Object) -> float:
    """Compute the Hausdorff distance of two objects, in px."""
    box = [(min(a.start, b.start), max(a.stop, b.stop)) for a, b in zip(first.box, second.box, strict=True)]
    masks = [_paint(each, box) for each in (first, second)]
    return max(_measure_farthest(masks[0], masks[1]), _measure_farthest(masks[1], masks[0]))


def _paint(each: _Object, box: Sequence[tuple[int, int]]) -> NDArray[np.bool_]:
    canvas = np.zeros([stop - start for start, stop in box], bool)
    own = tuple(slice(p.start - b[0], p.stop - b[0]) for p, b in zip(each.box, box, strict=True))
    canvas[own] = each.pixels
    return canvas


def _measure_farthest(pixels: NDArray[np.bool_], goal: NDArray[np.bool_]) -> float:
    """Compute the maximum distance of a pixel to the nearest one of `goal`, in px."""
    outside = pixels & ~goal
    if not outside.any():
        return 0.0
    distances = cv2.distanceTransform((~goal).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return float(distances[outside].max())
