"""A plane of pixels into gland probabilities, band by band."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.backend import Backend
from glandseg.runtime.plane import PicturePlane, Plane
from glandseg.runtime.windows import STRIDE_PX, UNIT, WINDOW_PX, window_starts, window_weights

GLAND = 1  # the class's index among (non-gland, gland)


@dataclass(frozen=True, kw_only=True)
class Band:
    """Rows of finished probabilities.

    Attributes:
        y_px: the first row.
        probability: (rows, W) uint8 of gland, 255 for certainty; 0 where no window was wanted.
    """

    y_px: int
    probability: NDArray[np.uint8]


Wanted = Callable[[int, int, int, int], bool]


def wanted_everywhere(x_px: int, y_px: int, width_px: int, height_px: int) -> bool:
    """Want every window."""
    return True


def segment_plane(
    plane: Plane,
    backend: Backend,
    *,
    batch: int = 8,
    wanted: Wanted = wanted_everywhere,
    count: Callable[[int], None] = lambda windows: None,
) -> Iterator[Band]:
    """Run the network over a plane and blend its windows.

    Memory holds one row of windows, (320, W) uint32, whatever the plane's height.

    Args:
        plane: what to segment.
        backend: the network.
        batch: windows a call.
        wanted: whether the rectangle x_px, y_px, width_px, height_px is worth a window.
        count: is told the number of windows after every call.

    Yields:
        Bands from top to bottom that cover the plane without gap or overlap.
    """
    columns, rows = window_starts(plane.width_px), window_starts(plane.height_px)
    overlap = WINDOW_PX - STRIDE_PX
    carried = np.zeros((overlap, plane.width_px), np.uint32)
    for k, y_px in enumerate(rows):
        total = np.zeros((WINDOW_PX, plane.width_px), np.uint32)
        total[:overlap] = carried
        down = window_weights(k, len(rows))[:, None]
        chosen = [i for i, x_px in enumerate(columns) if wanted(x_px, y_px, WINDOW_PX, WINDOW_PX)]
        for first in range(0, len(chosen), batch):
            part = chosen[first : first + batch]
            windows = np.stack([plane.read(columns[i], y_px, WINDOW_PX, WINDOW_PX) for i in part])
            for i, probability in zip(part, backend.infer(windows)[:, GLAND], strict=True):
                weights = down * window_weights(i, len(columns))
                _add(total, probability * weights, columns[i])
            count(len(part))
        carried = total[STRIDE_PX:]
        first_row, last_row = max(y_px, 0), min(y_px + STRIDE_PX, plane.height_px)
        if k == len(rows) - 1:
            last_row = plane.height_px
        finished = total[first_row - y_px : last_row - y_px]
        rounded = (finished + UNIT * UNIT // 2) // (UNIT * UNIT)
        yield Band(y_px=first_row, probability=rounded.astype(np.uint8))


def count_windows(plane: Plane, wanted: Wanted = wanted_everywhere) -> int:
    """Count the windows that `segment_plane` will run."""
    columns, rows = window_starts(plane.width_px), window_starts(plane.height_px)
    return sum(wanted(x_px, y_px, WINDOW_PX, WINDOW_PX) for y_px in rows for x_px in columns)


def segment_picture(picture: NDArray[np.uint8], backend: Backend, *, batch: int = 8) -> NDArray[np.uint8]:
    """Give the gland probability of each pixel of a picture at the model's um/px.

    Args:
        picture: (H, W, 3) uint8 RGB.
        backend: the network.
        batch: windows a call.

    Returns:
        (H, W) uint8, 255 for certainty.
    """
    bands = segment_plane(PicturePlane(picture), backend, batch=batch)
    return np.concatenate([band.probability for band in bands])


def _add(total: NDArray[np.uint32], weighted: NDArray[np.uint32], x_px: int) -> None:
    first, last = max(x_px, 0), min(x_px + WINDOW_PX, total.shape[1])
    total[:, first:last] += weighted[:, first - x_px : last - x_px]
