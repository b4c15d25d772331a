"""The distance of each gland to its nearest neighbor, from contours that lie on disk.

A tree over all contours would need as much memory as the slide has glands. So glands are taken in blocks,
which are bands of the slide, as they are numbered by rows; a block's tree holds also what lies up to a margin
above and below. A nearest neighbor within the margin is the nearest of all. Glands without one, at the edge
of tissue, are taken once more with a wider margin, until it spans the slide. Contours follow px and have
hundreds of corners; simplified by a px they have tens, and their distances take a thirtieth of the time.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.runtime.glands.store import Gland

BLOCK = 2048  # glands whose neighbors are found together
MARGIN_PX, GROWTH = 256.0, 8.0  # of a block, in map px, and its factor where it was too narrow
SIMPLIFIED_PX = 1.0  # by which a contour may move


class GlandSequence(Protocol):
    """Glands that are read one at a time, in order or by place."""

    def __len__(self) -> int:
        """Return their number."""

    def __getitem__(self, index: int, /) -> Gland:
        """Read one."""


def find_neighbors(glands: GlandSequence) -> NDArray[np.float64]:
    """Compute the distances of each gland to its nearest neighbors.

    Args:
        glands: Glands in reading order.

    Returns:
        (N, 2) float64, in map px: between centroids, and between contours, to within `2 * SIMPLIFIED_PX`; NaN
        for a single gland. Of two glands with one centroid, the next other one is the nearest.
    """
    found = np.full((len(glands), 2), np.nan)
    edges = (glands[index].polygon_px.bounds[1::2] for index in range(len(glands)))  # top and bottom
    spans: NDArray[np.float64] = np.fromiter(edges, np.dtype((float, 2)), len(glands))
    margin, pending = MARGIN_PX, np.arange(len(glands))
    while len(glands) > 1 and len(pending):
        spans_slide = margin > np.ptp(spans)
        for first in range(0, len(pending), BLOCK):
            block = pending[first : first + BLOCK]
            top, bottom = spans[block, 0].min() - margin, spans[block, 1].max() + margin
            near = np.flatnonzero((spans[:, 1] >= top) & (spans[:, 0] <= bottom))
            distances = _measure(glands, block, near)
            found[block] = np.where(spans_slide | (distances <= margin), distances, np.nan)
        pending = pending[np.isnan(found[pending]).any(1)]
        margin *= GROWTH
    return found


def _measure(glands: GlandSequence, block: NDArray[np.int64], near: NDArray[np.int64]) -> NDArray[np.float64]:
    """Compute the distances of a block's glands to the nearest of those near it, (N, 2); inf without any."""
    contours = np.array([glands[index].polygon_px for index in near.tolist()], object)
    own = np.searchsorted(near, block)
    simplified = shapely.simplify(contours, SIMPLIFIED_PX, preserve_topology=False)
    simplified = np.where(shapely.is_empty(simplified), contours, simplified)
    centroids = shapely.centroid(contours)
    distances, nearest = _find_nearest(centroids, own)
    return np.stack([distances, _measure_gaps(simplified, own, nearest)], 1)


def _find_nearest(
    points: NDArray[np.object_], own: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the distance of some points to the nearest other one, inf without any, and its index."""
    distances, nearest = np.full(len(own), np.inf), own.copy()
    (asked, found), away = shapely.STRtree(points).query_nearest(
        points[own], exclusive=True, return_distance=True, all_matches=False
    )
    distances[asked], nearest[asked] = away, found
    return distances, nearest


def _measure_gaps(
    contours: NDArray[np.object_], own: NDArray[np.int64], guess: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Compute the distance of some contours to the nearest other one; inf without any.

    None is further than a guess, so only those are measured whose boxes are as near.
    """
    gaps = np.where(guess == own, np.inf, shapely.distance(contours[own], contours[guess]))
    left, top, right, bottom = shapely.bounds(contours[own]).T
    reach = shapely.box(left - gaps, top - gaps, right + gaps, bottom + gaps)
    asked, near = shapely.STRtree(contours).query(reach)
    asked, near = asked[own[asked] != near], near[own[asked] != near]
    shapely.prepare(contours)
    np.minimum.at(gaps, asked, shapely.distance(contours[own[asked]], contours[near]))
    return gaps
