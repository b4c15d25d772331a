"""Touching glands told apart: each is grown from a seed inside the mask, and a gap is cut between any two.

A network bridges thin stroma, so that a component of the mask may hold several glands; their insides, where
it is confident, are apart. Each such inside is a seed. All seeds grow at the same speed, by one 4-neighbour
a step: a px goes to the seed that is nearest inside the mask, by city-block distance, and at equal distance
to that of the first neighbour in a fixed order. So the result depends on positions within `reach_px` rows
alone, never on a seed's number or on the order in which a slide's rows became known. Growth by diagonals
would be rounder, but a gland could come apart where the tracer sees 4-neighbours alone.

What no seed reaches, a seedless part of the mask or the middle of a long bridge, is an object too: tissue is
not lost, unless it is below the minimum area of a gland.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.model.separation import Separation
from glandseg.runtime.glands.cut import find_cut

_CROSS = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


def separate(
    gland: NDArray[np.uint8],
    seed_map: NDArray[np.uint8],
    cut: int,
    rule: Separation,
    um_per_px: float,
) -> NDArray[np.uint8]:
    """Separate the glands of a map in memory.

    Args:
        gland: (H, W) uint8 of p(gland), 255 for certainty.
        seed_map: (H, W) uint8, the probability of the rule's channel: `gland` itself, or p(core).
        cut: Minimum grey value of a gland's px, 1..255.
        rule: Rule of the model card.
        um_per_px: Micrometres per px of the maps.

    Returns:
        (H, W) uint8, the outline map: `gland`, with 0 in the gaps between glands. Its 4-connected components
        of px of at least `cut` are the glands.
    """
    mask = gland >= cut
    seeds = mask & (seed_map >= find_cut(rule.threshold))
    _, numbers = cv2.connectedComponents(seeds.view(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    gaps = find_gaps(mask, np.asarray(numbers, np.int32), find_reach_px(rule, um_per_px))
    return np.where(gaps, np.uint8(0), gland)


def find_reach_px(rule: Separation, um_per_px: float) -> int:
    """Return the number of px by which a seed grows, at least 1."""
    return max(1, round(rule.reach_um / um_per_px))


def find_gaps(mask: NDArray[np.bool_], seeds: NDArray[np.int32], reach_px: int) -> NDArray[np.bool_]:
    """Find the px to take out of a mask, so that its 4-connected components are the glands.

    A px is one if its right or its lower neighbour belongs to another gland, or to what no seed reaches. It
    depends on the mask and the seeds from `reach_px` rows above it to `reach_px` + 1 rows below it.

    Args:
        mask: (H, W) bool of gland.
        seeds: (H, W) int32, the seed of each px, above 0; 0 for none. Every seed lies inside the mask.
        reach_px: Number of px by which a seed grows.

    Returns:
        (H, W) bool.
    """
    objects = grow_seeds(mask, seeds, reach_px)
    gaps = np.zeros_like(mask)
    for here, there in ((np.s_[:, :-1], np.s_[:, 1:]), (np.s_[:-1], np.s_[1:])):
        gaps[here] |= mask[here] & mask[there] & (objects[here] != objects[there])
    return gaps


def grow_seeds(mask: NDArray[np.bool_], seeds: NDArray[np.int32], reach_px: int) -> NDArray[np.int32]:
    """Grow seeds inside a mask, all by a ring of 4-neighbours at a time.

    Args:
        mask: (H, W) bool of gland.
        seeds: (H, W) int32, the seed of each px, above 0; 0 for none. Every seed lies inside the mask.
        reach_px: Number of rings.

    Returns:
        (H, W) int32, the seed of each px of the mask; 0 outside it and for px that no seed reaches.
    """
    width = mask.shape[1] + 2  # with a border, past which no neighbour lies
    grown = np.pad(seeds, 1)
    free = np.pad(mask & (seeds == 0), 1)
    near = cv2.dilate(free.view(np.uint8), _CROSS)
    ring = np.flatnonzero((near != 0) & (grown != 0))
    objects, free = grown.ravel(), free.ravel()
    for _ in range(reach_px):
        outer = []
        for step in (width, 1, -1, -width):  # from the px above, from the left, the right, below
            reached = ring + step
            is_new = free[reached]
            reached = reached[is_new]
            objects[reached] = objects[ring[is_new]]
            free[reached] = False
            outer.append(reached)
        ring = np.concatenate(outer)
    return grown[1:-1, 1:-1]
