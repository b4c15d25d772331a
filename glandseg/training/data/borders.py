"""What tells glands apart: the core of each, and the stroma between two that lie close together.

Why a core: two glands with 3 um of stroma between them become one where a network bridges it, but their
insides, 5 um away from every border, stay two. Borders follow from the annotated glands, one by one, so that
glands that touch have cores that do not. An image's edge is no border: the gland goes on beyond it.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.training.data.mask_rule import Glands

SIGMA_UM = 5.0  # of the weight of stroma; U-Net has 5 px


def number_glands(glands: Glands) -> NDArray[np.int32]:
    """Return the ids of a mask's glands, or number its connected components where it has none.

    Returns:
        (H, W) int32, 0 outside glands.
    """
    if glands.ids is not None and np.unique(glands.ids[glands.gland]).size > 1:
        return glands.ids
    return np.asarray(cv2.connectedComponents(glands.gland.astype(np.uint8))[1], np.int32)


def find_cores(labels: NDArray[np.int32], distance_px: float) -> NDArray[np.uint8]:
    """Find the px of glands that are farther than a distance from their gland's border.

    Args:
        labels: (H, W) number of each px's gland, 0 outside glands.
        distance_px: Distance, in px.

    Returns:
        (H, W) uint8, 255 in cores.
    """
    inner = np.ones(labels.shape, np.uint8)  # 0 beside a px of another label
    for one, other in (np.s_[:, 1:], np.s_[:, :-1]), (np.s_[1:], np.s_[:-1]):
        differ = labels[one] != labels[other]
        inner[one][differ] = inner[other][differ] = 0
    if inner.all():  # one label everywhere
        return np.where(labels > 0, 255, 0).astype(np.uint8)
    to_border = cv2.distanceTransform(inner, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) + 0.5
    return np.where((labels > 0) & (to_border > distance_px), 255, 0).astype(np.uint8)


def weigh_stroma(labels: NDArray[np.int32], sigma_px: float) -> NDArray[np.uint8]:
    """Weigh the stroma between glands by exp(-(d1 + d2)^2 / (2 sigma^2)) (Ronneberger et al. 2015, Eq. 2).

    d1 and d2 are the distances to the nearest gland and to the second nearest.

    Args:
        labels: (H, W) number of each px's gland, 0 outside glands.
        sigma_px: Sigma, in px.

    Returns:
        (H, W) uint8, 255 for 1; 0 in glands and where d1 or d2 is beyond 3 sigma.
    """
    reach = int(np.ceil(3 * sigma_px))
    first = np.full(labels.shape, np.inf, np.float32)
    second = first.copy()
    for label in np.unique(labels[labels > 0]):
        x, y, width, height = cv2.boundingRect((labels == label).astype(np.uint8))
        place = np.s_[max(y - reach, 0) : y + height + reach, max(x - reach, 0) : x + width + reach]
        away = (labels[place] != label).astype(np.uint8)
        distance = cv2.distanceTransform(away, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        second[place] = np.minimum(second[place], np.maximum(first[place], distance))
        first[place] = np.minimum(first[place], distance)
    weight = np.exp(-((first + second) ** 2) / (2 * sigma_px**2))
    weight[(labels > 0) | (second > reach)] = 0
    return np.asarray(np.rint(255 * weight), np.uint8)
