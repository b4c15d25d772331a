"""Test-time augmentation: the mean of a window and its mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import Network


class FlipAverage:
    """Network that averages another network's probabilities of a window and of its mirror image.

    Args:
        network: Network to run twice.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Compute (N, classes, 320, 320) uint8 of (N, 320, 320, 3) uint8 RGB windows; halves round up."""
        plain = self._network.infer(windows)
        flipped = self._network.infer(np.ascontiguousarray(windows[:, :, ::-1]))[..., ::-1]
        return ((plain.astype(np.uint16) + flipped + 1) // 2).astype(np.uint8)
