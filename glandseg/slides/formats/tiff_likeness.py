"""Whether one image of a TIFF is a shrunk copy of another, judged by their px.

Proportions prove nothing: two crops, or a slide and its label, may share them, and a wrong level would put
other tissue's glands on the slide. Small patches at the same places of both are compared, the larger image's
shrunk to the smaller one's px. Each patch's mean is removed first: otherwise a common layout (tissue amid
background) correlates in any two slides, whereas the fine structure agrees only in a true copy, however it
was shrunk. Writers shrink in different ways, and a px lies elsewhere in each, so three ways are tried. Where
neither image shows structure, as on empty background, nothing is proven.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.slides.slide import measure_downsample

Read = Callable[[int, int, int, int], NDArray[np.uint8]]  # x, y, width, height in px; (h, w, 3) RGB
GRID = 8  # places along each side
PATCH_PX, MIN_PATCH_PX = 32, 8  # side of a patch in px of the smaller image
MAX_SOURCE_PX = 512  # side of a patch in px of the larger one, unless the patch has its minimum size
MAX_SEARCHED_PX = 4_000_000  # an image up to this size is searched for the places with most structure
MAX_CONTRASTED = 16
MIN_DEVIATION = 1.5  # gray levels within a patch; below is noise of a scanner or codec
MIN_CORRELATION = 0.6  # other tissue reaches 0.2


@dataclass(frozen=True)
class Sample:
    """An image that can be read by rectangle."""

    read: Read
    width: int
    height: int


@dataclass(frozen=True)
class Likeness:
    """Agreement of two images.

    Attributes:
        correlation: -1..1; None where neither shows structure, or nothing could be read.
    """

    correlation: float | None

    @property
    def is_proven(self) -> bool:
        """Whether they show the same."""
        return self.correlation is not None and self.correlation >= MIN_CORRELATION

    @property
    def is_refuted(self) -> bool:
        """Whether they show different things."""
        return self.correlation is not None and self.correlation < MIN_CORRELATION


def compare(full: Sample, small: Sample) -> Likeness:
    """Compare an image with a possible smaller copy; unreadable places are skipped."""
    factor = full.width / small.width
    side = int(np.clip(MAX_SOURCE_PX / factor, MIN_PATCH_PX, PATCH_PX))
    pairs = [
        pair for x, y in list_places(small, side) if (pair := read_pair(full, small, x, y, side)) is not None
    ]
    return Likeness(correlate(pairs)) if pairs else Likeness(None)


def list_places(small: Sample, side: int) -> list[tuple[int, int]]:
    """List the corners of patches: an even grid, and where the smaller image has most structure."""
    across, down = (
        sorted({round(i * max(length - side, 0) / (GRID - 1)) for i in range(GRID)})
        for length in (small.width, small.height)
    )
    grid = [(x, y) for y in down for x in across]
    return [*grid, *(place for place in find_contrasted(small, side) if place not in grid)]


def find_contrasted(small: Sample, side: int) -> list[tuple[int, int]]:
    """Find the patches with the most structure; none if the image is too large to search."""
    rows, columns = small.height // side, small.width // side
    if small.width * small.height > MAX_SEARCHED_PX or not rows or not columns:
        return []
    try:
        gray = average_colors(small.read(0, 0, columns * side, rows * side))
    except Exception:  # damaged: the grid remains
        return []
    deviation = gray.reshape(rows, side, columns, side).std(axis=(1, 3))
    best = np.argsort(deviation, axis=None, kind="stable")[::-1][:MAX_CONTRASTED]
    return [(int(i % columns) * side, int(i // columns) * side) for i in best]


def read_pair(
    full: Sample, small: Sample, x: int, y: int, side: int
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]] | None:
    """Read a patch of the smaller image, and the larger one's shrunk in each way; None if either fails."""
    width, height = min(side, small.width - x), min(side, small.height - y)
    factor = measure_downsample((full.width, full.height), (small.width, small.height))
    left, top = min(round(x * factor), full.width - 1), min(round(y * factor), full.height - 1)
    right = min(max(round((x + width) * factor), left + 1), full.width)
    bottom = min(max(round((y + height) * factor), top + 1), full.height)
    try:
        patch = small.read(x, y, width, height)
        source = full.read(left, top, right - left, bottom - top)
    except Exception:  # damaged here: other places decide
        return None
    ways = shrink(average_colors(source), width, height, factor)
    return prepare(average_colors(patch)), [prepare(way) for way in ways]


def shrink(gray: NDArray[np.float32], width: int, height: int, factor: float) -> list[NDArray[np.float32]]:
    """Shrink by area, by every n-th px and by the px in the middle, as writers of pyramids do."""
    below, beside = (
        max(round(length * factor) - size, 0)
        for length, size in zip((height, width), gray.shape, strict=True)
    )
    whole = cv2.copyMakeBorder(gray, 0, below, 0, beside, cv2.BORDER_REPLICATE)
    ways = [np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.float32)]
    for start in (0.0, factor / 2):
        rows, columns = (
            np.minimum((np.arange(length) * factor + start).astype(int), size - 1)
            for length, size in zip((height, width), whole.shape, strict=True)
        )
        ways.append(np.asarray(whole[np.ix_(rows, columns)], np.float32))
    return ways


def average_colors(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Compute the mean of the colors, (h, w) float32 in 0..255."""
    return np.asarray(rgb.mean(axis=2, dtype=np.float32), np.float32)


def prepare(gray: NDArray[np.float32]) -> NDArray[np.float32]:
    """Smooth a patch, which tolerates a sub-pixel shift, and subtract its mean."""
    smooth = np.asarray(cv2.blur(gray, (3, 3), borderType=cv2.BORDER_REPLICATE), np.float32)
    return np.asarray(smooth - smooth.mean(), np.float32).reshape(-1)


def correlate(pairs: list[tuple[NDArray[np.float32], list[NDArray[np.float32]]]]) -> float | None:
    """Correlate all patches for the way of shrinking that agrees best; None without structure."""
    if all(compute_deviation(part) < MIN_DEVIATION for patch, ways in pairs for part in (patch, ways[0])):
        return None
    small = np.concatenate([patch for patch, _ in pairs])
    ways = [np.concatenate(way) for way in zip(*(ways for _, ways in pairs), strict=True)]
    lengths = [float(np.linalg.norm(small) * np.linalg.norm(way)) for way in ways]
    return max(float(small @ way) / max(length, 1e-6) for way, length in zip(ways, lengths, strict=True))


def compute_deviation(values: NDArray[np.float32]) -> float:
    """Compute the standard deviation of values of mean 0."""
    return float(np.sqrt(np.mean(values**2)))
