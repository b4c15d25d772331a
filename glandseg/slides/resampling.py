"""Resampling at any factor and sub-pixel position: area means to shrink, linear interpolation to enlarge.

`cv2.resize` alone does not suit slides that are read tile by tile. Its output sizes are whole, so the factor
would be rounded in every tile and px would drift from their level-0 coordinates; and it starts at each crop's
own corner, so a px would depend on how reads are cut, and tiles would meet in seams. Here output px k covers
[k * factor, (k + 1) * factor) of the level, in whatever rectangle it is read. Area means do not alias, as
linear interpolation does when it shrinks, and do not ring, as cubic does. The whole part of the factor is
left to OpenCV's area mean, which is exact there and fast; the rest, below 2, sums few rows and columns.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.slides.slide import Level

NEGLIGIBLE = 1e-6  # px of overlap that are rounding, not area
BAND_ROWS = 32


class Source(Protocol):
    """Levels that can be read by rectangle."""

    levels: tuple[Level, ...]

    def read_region(self, level: int, x: int, y: int, width: int, height: int) -> NDArray[np.uint8]:
        """Read (height, width, 3) uint8 RGB inside a level."""
        ...


@dataclass(frozen=True)
class Taps:
    """For each output px of one axis, its (K,) input px and their weights, which add up to 1."""

    index: NDArray[np.int64]  # (N, K)
    weight: NDArray[np.float32]  # (N, K)


def find_taps(first: int, count: int, factor: float) -> Taps:
    """Find the input px of output px `first` to `first + count`, each `factor` input px wide.

    At factors of 1 and above an output px is the mean of its stretch of the input; below 1 it is
    interpolated between the two nearest input centres.
    """
    k = np.arange(first, first + count, dtype=np.float64)
    return find_area_taps(k * factor, factor) if factor >= 1 else find_linear_taps((k + 0.5) * factor - 0.5)


def find_area_taps(start: NDArray[np.float64], factor: float) -> Taps:
    """Weight each input px by its share of [start, start + factor)."""
    index = np.floor(start).astype(np.int64)[:, None] + np.arange(math.ceil(factor) + 1)
    overlap = np.minimum(index + 1, (start + factor)[:, None]) - np.maximum(index, start[:, None])
    overlap = np.where(overlap > NEGLIGIBLE, overlap, 0)
    used = overlap.any(axis=0)
    weight = overlap / overlap.sum(axis=1, keepdims=True)
    return Taps(index[:, used], weight[:, used].astype(np.float32))


def find_linear_taps(centre: NDArray[np.float64]) -> Taps:
    """Weight the two input px around `centre` by their nearness."""
    left = np.floor(centre)
    share = (centre - left)[:, None]
    return Taps(
        left.astype(np.int64)[:, None] + np.arange(2), np.hstack([1 - share, share]).astype(np.float32)
    )


def resample(
    slide: Source, level: int, factor: float, x_px: int, y_px: int, width_px: int, height_px: int
) -> NDArray[np.uint8]:
    """Read a rectangle of a level shrunk `factor` times; beyond the level its edge px are repeated.

    OpenCV's blocks are counted from the level's corner, so that a px depends on its own position alone.

    Args:
        slide: Source of the pixels.
        level: Index of the level.
        factor: Level px per output px.
        x_px: Left edge, in output px; likewise the others.
        y_px: Top edge.
        width_px: Width.
        height_px: Height.

    Returns:
        (height_px, width_px, 3) uint8 RGB.
    """
    block = max(math.floor(factor), 1)
    columns = find_taps(x_px, width_px, factor / block)
    rows = find_taps(y_px, height_px, factor / block)
    x0, x1 = int(columns.index.min()), int(columns.index.max()) + 1
    y0, y1 = int(rows.index.min()), int(rows.index.max()) + 1
    source = read_beyond_edges(slide, level, (x0 * block, x1 * block), (y0 * block, y1 * block))
    if block > 1:
        source = np.asarray(cv2.resize(source, (x1 - x0, y1 - y0), interpolation=cv2.INTER_AREA), np.uint8)
    low = mix_rows(source, rows, y0)
    mixed = cv2.transpose(mix_rows(cv2.transpose(low), columns, x0))
    return np.asarray(mixed if mixed.dtype == np.uint8 else cv2.convertScaleAbs(mixed), np.uint8)


def mix_rows(pixels: NDArray[Any], taps: Taps, first: int) -> NDArray[Any]:
    """Compute (N, W, 3) rows as weighted sums of input rows, the first of which has index `first`.

    Returns:
        float32; the input's dtype where every output row is one input row.
    """
    flat, rows = pixels.reshape(len(pixels), -1), taps.index - first
    if rows.shape[1] == 1:
        return flat[rows[:, 0]].reshape(len(rows), *pixels.shape[1:])
    mixed = np.empty((len(rows), flat.shape[1]), np.float32)
    for top in range(0, len(rows), BAND_ROWS):
        band = slice(top, top + BAND_ROWS)
        mix_band(flat, rows[band], taps.weight[band], mixed[band])
    return mixed.reshape(len(rows), *pixels.shape[1:])


def mix_band(
    flat: NDArray[Any], rows: NDArray[np.int64], weight: NDArray[np.float32], out: NDArray[np.float32]
) -> None:
    """Add up weighted rows into `out`, few enough to fit the processor's cache."""
    np.multiply(flat[rows[:, 0]], weight[:, :1], out=out)
    part = np.empty_like(out)
    for k in range(1, rows.shape[1]):
        out += np.multiply(flat[rows[:, k]], weight[:, k : k + 1], out=part)


def read_beyond_edges(
    slide: Source, level: int, x_span: tuple[int, int], y_span: tuple[int, int]
) -> NDArray[np.uint8]:
    """Read a level's px in two half-open spans, its edge px repeated outside."""
    size = slide.levels[level]
    columns = np.clip(np.arange(*x_span), 0, size.width - 1)
    rows = np.clip(np.arange(*y_span), 0, size.height - 1)
    left, top = int(columns[0]), int(rows[0])
    width, height = int(columns[-1]) + 1 - left, int(rows[-1]) + 1 - top
    pixels = slide.read_region(level, left, top, width, height)
    if (width, height) == (len(columns), len(rows)):
        return pixels
    return pixels[np.ix_(rows - top, columns - left)]
