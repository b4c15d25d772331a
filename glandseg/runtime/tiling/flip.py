"""A network asked twice: of each window and of its mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glandseg.model.backend import Network


class Mirrored:
    """The mean of what a network says of a window and of its mirror image, left for right.

    Args:
        network: that is asked.
    """

    def __init__(self, network: Network) -> None:
        self._network = network

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Give (N, classes, 320, 320) uint8 of (N, 320, 320, 3) uint8 RGB windows; halves round up."""
        straight = self._network.infer(windows)
        turned = self._network.infer(np.ascontiguousarray(windows[:, :, ::-1]))[..., ::-1]
        return ((straight.astype(np.uint16) + turned + 1) // 2).astype(np.uint8)
