"""The columns of a band that hold px, for most of a slide is glass, and its bands are mostly empty."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GAP_PX = 64  # empty columns that are worth a span of their own on either side


def list_spans(band: NDArray[np.bool_]) -> list[slice]:
    """List ranges of columns outside which a band, (H, W) bool, is empty.

    Returns:
        Column ranges from left to right, with `GAP_PX` empty columns or more between two: what hangs together
        lies in one of them.
    """
    filled = np.flatnonzero(band.any(axis=0))
    if not len(filled):
        return []
    breaks = np.flatnonzero(np.diff(filled) > GAP_PX)
    firsts, lasts = filled[np.append(0, breaks + 1)], filled[np.append(breaks, len(filled) - 1)]
    return [slice(first, last + 1) for first, last in zip(firsts.tolist(), lasts.tolist(), strict=True)]
