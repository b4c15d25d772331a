"""A network asked of each window and of its mirror image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.tiling.flip import FlipAverage

Pixels = NDArray[np.uint8]


class SeesLeftHalf:
    """A network that gives a px's red in the left half, and 0 in the right."""

    def infer(self, windows: Pixels) -> Pixels:
        out = np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)
        out[..., out.shape[-1] // 2 :] = 0
        return out


def test_each_half_is_seen_once() -> None:
    windows = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    red = windows[..., 0].astype(int)
    assert np.array_equal(FlipAverage(SeesLeftHalf()).infer(windows)[:, 1], (red + 1) // 2)


def test_a_symmetric_network_is_left_as_it_is() -> None:
    class Red:
        def infer(self, windows: Pixels) -> Pixels:
            return np.stack([255 - windows[..., 0], windows[..., 0]], axis=1)

    windows = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3), np.uint8)
    assert np.array_equal(FlipAverage(Red()).infer(windows), Red().infer(windows))
