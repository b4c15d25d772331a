"""Windows over a plane, and the integer weights that blend them without seams.

An axis is cut into windows of 320 px every 256 px. A network sees too little context at a window's edge, so
windows that merely abut show a seam, and glands are cut there. Neighbours therefore overlap by 64 px, where a
Hann ramp passes from one to the other: it is smooth at both ends, so no edge shows even where they disagree.
The weights are integers that sum to `UNIT` at every pixel, so blending is exact: the result does not depend
on the order in which windows arrive, nor on threads or batches, as float sums would.
"""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

SCALE_MIN, SCALE_MAX = 0.25, 4.0
WINDOW_PX = 320
STRIDE_PX = 256
UNIT = 256
MARGIN_PX = (WINDOW_PX - STRIDE_PX) // 2  # by which the first window starts before the axis


def window_starts(length_px: int, window_px: int = WINDOW_PX, stride_px: int = STRIDE_PX) -> list[int]:
    """Return where windows start along an axis, in px; the first starts half an overlap before it.

    So every pixel, at the edge as in the middle, lies at least half an overlap inside some window.
    """
    if not 0 < stride_px <= window_px:
        raise ValueError(f"stride: 1..{window_px} px for windows of {window_px} px. Received: {stride_px}.")
    margin = (window_px - stride_px) // 2
    return [k * stride_px - margin for k in range(math.ceil(length_px / stride_px))]


@cache
def window_weights(
    index: int, count: int, window_px: int = WINDOW_PX, stride_px: int = STRIDE_PX
) -> NDArray[np.uint32]:
    """Return a window's weights along an axis, by its index among the windows of that axis.

    Returns:
        (window_px,) uint32 in 0..UNIT, read-only; those of an axis sum to UNIT at each pixel.
    """
    weights = np.full(window_px, UNIT, np.uint32)
    ramp = _hann_ramp(window_px - stride_px)
    if index > 0:
        weights[: len(ramp)] = ramp
    if index < count - 1:
        weights[stride_px:] = UNIT - ramp
    weights.flags.writeable = False
    return weights


def _hann_ramp(length: int) -> NDArray[np.uint32]:
    phase = (np.arange(length) + 0.5) / max(length, 1)
    ramp: NDArray[np.uint32] = np.rint(UNIT * np.sin(np.pi / 2 * phase) ** 2).astype(np.uint32)
    return ramp
