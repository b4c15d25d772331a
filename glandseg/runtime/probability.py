"""A slide's gland probability, window by window at every scale, averaged into one map on disk."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.backend import Backend
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.segment import Wanted, count_windows, segment_plane
from glandseg.runtime.tissue import TissueMask

BAND_PX = 256  # rows averaged at once
Advance = Callable[[int, int], None]  # windows done, windows in all


@dataclass(frozen=True, kw_only=True)
class ScalePlane:
    """The slide enlarged by `scale`, and which of its windows are worth running."""

    scale: float
    plane: SlidePlane
    wanted: Wanted


def lay_planes(base: SlidePlane, scales: Sequence[float], tissue: TissueMask) -> list[ScalePlane]:
    """Lay a plane over the slide for each scale; a window is wanted where it touches tissue."""
    return [
        _lay_plane(base if scale == 1 else base.at(base.um_per_px / scale), scale, tissue) for scale in scales
    ]


def map_probability(
    planes: Sequence[ScalePlane],
    base: SlidePlane,
    backend: Backend,
    folder: Path,
    *,
    batch: int,
    advance: Advance,
) -> NDArray[np.uint8]:
    """Run the network at every scale and average.

    Memory holds one row of windows; the maps, a byte a pixel and scale, are on disk.

    Args:
        planes: one for each scale.
        base: the plane of the result.
        backend: the network.
        folder: where the maps are kept.
        batch: windows a call.
        advance: is told how many windows are done, and of how many.

    Returns:
        (H, W) uint8 of p(gland), 255 for certainty, memory-mapped.
    """
    total = sum(count_windows(item.plane, item.wanted) for item in planes)
    done = 0

    def count(windows: int) -> None:
        nonlocal done
        done += windows
        advance(done, total)

    advance(0, total)
    maps = []
    for index, item in enumerate(planes):
        out = create_map(folder / f"scale-{index}.npy", item.plane)
        for band in segment_plane(item.plane, backend, batch=batch, wanted=item.wanted, count=count):
            out[band.y_px : band.y_px + len(band.probability)] = band.probability
        maps.append(out)
    if len(planes) == 1 and planes[0].scale == 1:
        return maps[0]
    return _average(maps, [item.scale for item in planes], create_map(folder / "mean.npy", base))


def create_map(path: Path, plane: SlidePlane) -> NDArray[np.uint8]:
    """Create a (H, W) uint8 map of zeros on disk that covers a plane.

    The disk space is taken at once: a memory map that meets a full disk later would kill the process.
    """
    out = np.lib.format.open_memmap(path, "w+", np.uint8, (plane.height_px, plane.width_px))
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
    return out


def sample_band(
    values: NDArray[np.uint8], scale: float, first: int, rows: int, columns: int
) -> NDArray[np.float32]:
    """Read rows of a map that is enlarged by `scale`, at scale 1, by linear interpolation.

    Args:
        values: (H, W) uint8 map at the scale.
        scale: of the map.
        first: the first row at scale 1.
        rows: how many.
        columns: the width at scale 1.

    Returns:
        (rows, columns) float32 in 0..255.
    """
    y, y_share = _find_neighbours(np.arange(first, first + rows), scale, values.shape[0])
    x, x_share = _find_neighbours(np.arange(columns), scale, values.shape[1])
    window = values[y[0] : y[-1] + 2].astype(np.float32)
    y_next = np.minimum(y + 1, values.shape[0] - 1) - y[0]
    x_next = np.minimum(x + 1, values.shape[1] - 1)
    down = window[y - y[0]] * (1 - y_share)[:, None] + window[y_next] * y_share[:, None]
    across: NDArray[np.float32] = down[:, x] * (1 - x_share) + down[:, x_next] * x_share
    return across


def _lay_plane(plane: SlidePlane, scale: float, tissue: TissueMask) -> ScalePlane:
    um_per_px = plane.um_per_px

    def wanted(x_px: int, y_px: int, width_px: int, height_px: int) -> bool:
        return tissue.covers(x_px * um_per_px, y_px * um_per_px, width_px * um_per_px, height_px * um_per_px)

    return ScalePlane(scale=scale, plane=plane, wanted=wanted)


def _average(
    maps: Sequence[NDArray[np.uint8]], scales: Sequence[float], out: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    height, width = out.shape
    for first in range(0, height, BAND_PX):
        rows = min(BAND_PX, height - first)
        bands = [
            sample_band(values, scale, first, rows, width) for values, scale in zip(maps, scales, strict=True)
        ]
        out[first : first + rows] = np.rint(np.mean(bands, axis=0))
    return out


def _find_neighbours(
    index: NDArray[np.int64], scale: float, length: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    position = np.clip((index + 0.5) * scale - 0.5, 0, length - 1)
    lower = np.floor(position).astype(np.int64)
    return lower, (position - lower).astype(np.float32)
