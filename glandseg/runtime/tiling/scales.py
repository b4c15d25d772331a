"""One slide at several scales, and the mean of the network's probabilities at each.

Glands differ in size, and the network knows one size best; enlarged px show it small glands as large ones.
Each scale's map is interpolated linearly at the px of the base plane, where all are averaged. A scale counts
by the weight of its windows that were run: an adaptive run leaves windows out, and weights that change
abruptly would draw their edges into the map. Every px is computed from its own neighbours alone, so that the
mean does not depend on how the plane is cut into blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glandseg.model.windows import WINDOW_PX
from glandseg.runtime.tiling.blend import WHOLE, GetWindow, blend_windows
from glandseg.runtime.tiling.grid import Grid
from glandseg.slides.plane import TiledPlane

ROUNDING = 1e-6  # of interpolation, of a share of 1
Wanted = Callable[[float, float, float, float], bool]  # x_um, y_um, width_um, height_um


@dataclass(frozen=True, kw_only=True)
class ScalePlane:
    """The slide enlarged by `scale`, and which of its windows are worth running.

    Attributes:
        scale: Px of this plane per px of the base plane.
        plane: The base plane, rescaled.
        wanted: Called with (x, y, width, height) in um; returns whether the rectangle is worth running.
    """

    scale: float
    plane: TiledPlane
    wanted: Wanted

    @cached_property
    def grid(self) -> Grid:
        """The windows of the plane."""
        return Grid(self.plane.width_px, self.plane.height_px)

    def wants(self, row: int, column: int) -> bool:
        """Return whether a window is worth running."""
        um = self.plane.um_per_px
        x_px, y_px = self.grid.columns[column], self.grid.rows[row]
        return self.wanted(x_px * um, y_px * um, WINDOW_PX * um, WINDOW_PX * um)

    def read(self, row: int, column: int) -> NDArray[np.uint8]:
        """Read a window, (320, 320, 3) uint8 RGB."""
        return self.plane.read(self.grid.columns[column], self.grid.rows[row], WINDOW_PX, WINDOW_PX)


def average_scales(
    planes: Sequence[ScalePlane],
    gets: Sequence[GetWindow],
    top: int,
    left: int,
    bottom: int,
    right: int,
) -> NDArray[np.uint8]:
    """Average the scales over a rectangle of the base plane, each as far as its windows were run.

    The result does not depend on how the plane is cut into rectangles.

    Args:
        planes: Planes, one for each scale.
        gets: Functions, one for each plane, called with (row, column); return a window's probabilities.
        top: First row of the base plane.
        left: First column.
        bottom: End of the rows, excluded.
        right: End of the columns, excluded.

    Returns:
        (rows, columns) uint8 of p(gland), 255 for certainty; 0 where no window was run.
    """
    if len(planes) == 1 and planes[0].scale == 1:
        return blend_windows(planes[0].grid, gets[0], top, left, bottom, right)[0]
    total = np.zeros((bottom - top, right - left), np.float32)
    weight: NDArray[np.float32] | float = 0.0
    for item, get in zip(planes, gets, strict=True):
        values, share = sample_scale(item, get, top, left, bottom, right)
        total += values * share if isinstance(share, np.ndarray) else values
        weight = weight + share
    mean = total / np.maximum(weight, np.finfo(np.float32).tiny)
    return np.asarray(np.rint(mean), np.uint8)


def sample_scale(
    item: ScalePlane, get: GetWindow, top: int, left: int, bottom: int, right: int
) -> tuple[NDArray[np.float32], NDArray[np.float32] | float]:
    """Compute a scale's probabilities at px of the base plane, by linear interpolation.

    Returns:
        (rows, columns) float32 in 0..255, and the share of its windows that were run, (rows, columns) float32
        in 0..1, or 1.0 where all were.
    """
    down = Neighbours.find(np.arange(top, bottom), item.scale, item.grid.height_px)
    across = Neighbours.find(np.arange(left, right), item.scale, item.grid.width_px)
    mean, weight = blend_windows(item.grid, get, down.first, across.first, down.last, across.last)
    if not weight.any():
        nothing = np.zeros((bottom - top, right - left), np.float32)
        return nothing, nothing
    values = interpolate(mean.astype(np.float32), down, across)
    if (weight == WHOLE).all():
        return values, 1.0
    share = interpolate((weight / np.float32(WHOLE)).astype(np.float32), down, across)
    share[share > 1 - ROUNDING] = 1  # as where the whole rectangle was run
    return values, share


def rescale(values: NDArray[np.uint8], scale: float, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Shrink a map that is enlarged by `scale` to scale 1, (H, W) float32 of `shape`, linearly."""
    down = Neighbours.find(np.arange(shape[0]), scale, values.shape[0])
    across = Neighbours.find(np.arange(shape[1]), scale, values.shape[1])
    needed = values[down.first : down.last, across.first : across.last]
    return interpolate(needed.astype(np.float32), down, across)


@dataclass(frozen=True)
class Neighbours:
    """For px along an axis, the two px of an enlarged axis that they lie between.

    Attributes:
        lower: (N,) int64, indices of those nearer to the origin.
        upper: (N,) int64, indices of the others.
        share: (N,) float32, weights of the upper ones, 0..1.
    """

    lower: NDArray[np.int64]
    upper: NDArray[np.int64]
    share: NDArray[np.float32]

    @classmethod
    def find(cls, index: NDArray[np.int64], scale: float, length: int) -> Neighbours:
        """Find the neighbours, on an axis of `length` px enlarged by `scale`, of px at scale 1."""
        position = np.clip((index + 0.5) * scale - 0.5, 0, length - 1)
        lower = np.floor(position).astype(np.int64)
        return cls(lower, np.minimum(lower + 1, length - 1), (position - lower).astype(np.float32))

    @property
    def first(self) -> int:
        """The first px needed."""
        return int(self.lower[0])

    @property
    def last(self) -> int:
        """The end of the px needed, excluded."""
        return int(self.upper[-1]) + 1


def interpolate(values: NDArray[np.float32], down: Neighbours, across: Neighbours) -> NDArray[np.float32]:
    """Interpolate linearly between neighbours.

    Args:
        values: (down.last - down.first, across.last - across.first) float32.
        down: Neighbours of the rows.
        across: Neighbours of the columns.

    Returns:
        (rows, columns) float32.
    """
    y_share, x_share = down.share[:, None], across.share
    above, below = values[down.lower - down.first], values[down.upper - down.first]
    rows = above * (1 - y_share) + below * y_share
    left = np.take(rows, across.lower - across.first, axis=1)
    right = np.take(rows, across.upper - across.first, axis=1)
    return np.asarray(left * (1 - x_share) + right * x_share, np.float32)
