"""The cut: which pixels of a probability map are gland."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError

THRESHOLD = 0.5  # probability threshold, unless the user gives another


def find_cut(threshold: float = THRESHOLD) -> int:
    """Return the minimum grey value of a gland's pixel, 1..255, of a threshold above 0 and up to 1.

    Raises:
        BadInputError: The threshold is out of range.
    """
    if not 0 < threshold <= 1:
        raise BadInputError(f"threshold: must be above 0 and at most 1. Received: {threshold}")
    return max(1, math.ceil(threshold * 255 - 1e-9))


def mark_gland(probability: NDArray[np.uint8], threshold: float = THRESHOLD) -> NDArray[np.bool_]:
    """Return the gland pixels, bool, of a map of p(gland), uint8 with 255 for certainty, uncleaned."""
    return np.asarray(probability >= find_cut(threshold))
