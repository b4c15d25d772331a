"""The whole slide read once, coarsely, in blocks; a drive that stalls is an error."""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Advance
from glandseg.core.workers import STALL_S, Workers, await_result
from glandseg.runtime.tissue.tissue_mask import MASK_UM_PER_PX
from glandseg.slides.slide import Slide
from glandseg.slides.slide_plane import SlidePlane, choose_level
from glandseg.slides.unread import UnreadRegions

MAX_PX = 6_000_000  # of the thumbnail
WIDE_PX = 1600  # longer side of a small slide's thumbnail, if it has the detail
BLOCK_PX = 512
LINE_S = 15.0  # between lines of progress
CACHE_BYTES = 16 << 20
REPORTED_GIGAPIXELS = 1.0  # to read for a thumbnail, which takes a minute or more


def describe_reading(slide: Slide) -> str:
    """Describe how much of a slide is read for its thumbnail; empty where that takes seconds."""
    um_per_px = slide.resolution.um_per_px if slide.resolution else 1.0
    level = slide.levels[choose_level(slide, choose_um_per_px(slide) / um_per_px)]
    gigapixels = level.width * level.height / 1e9
    if gigapixels < REPORTED_GIGAPIXELS:
        return ""
    return f"thumbnail: {gigapixels:.1f} gigapixels to read, as the file has no smaller level"


def lay_thumbnail(slide: Slide, unread_regions: UnreadRegions) -> SlidePlane:
    """Lay the plane of a slide's thumbnail: 8 um/px, by a whole number coarser or finer where it must be."""
    plane = SlidePlane(slide, choose_um_per_px(slide), CACHE_BYTES, unread_regions)
    step = 1
    while plane.width_px * plane.height_px / step**2 > MAX_PX:
        step *= 2
    if step > 1:
        return SlidePlane(slide, plane.um_per_px * step, CACHE_BYTES, unread_regions)
    finer = min(WIDE_PX // max(plane.width_px, plane.height_px), math.floor(plane.l0_per_px))
    return SlidePlane(slide, plane.um_per_px / max(finer, 1), CACHE_BYTES, unread_regions)


def choose_um_per_px(slide: Slide) -> float:
    """Return 8 um/px, or the slide's own where that is coarser."""
    return max(MASK_UM_PER_PX, slide.resolution.um_per_px if slide.resolution else 0)


def read_thumbnail(
    plane: SlidePlane,
    threads: int = 1,
    stall_s: float = STALL_S,
    advance: Advance = lambda done, total: None,
    block_px: int = BLOCK_PX,
) -> NDArray[np.uint8]:
    """Read the whole plane, (h, w, 3) uint8 RGB, block by block.

    Args:
        plane: Plane of the thumbnail.
        threads: Number of threads that read.
        stall_s: Seconds that a block may take.
        advance: Called with (blocks read, blocks in all).
        block_px: Side of a block.

    Raises:
        StalledError: A block has not come in time; its thread is left behind.
    """
    thumbnail = np.empty((plane.height_px, plane.width_px, 3), np.uint8)

    def read(corner: tuple[int, int]) -> None:
        y, x = corner
        block = thumbnail[y : y + block_px, x : x + block_px]
        block[:] = plane.read(x, y, block.shape[1], block.shape[0])

    rows, columns = (range(0, size, block_px) for size in thumbnail.shape[:2])
    with Workers("thumbnail", threads) as workers:
        blocks = [workers.submit(read, (y, x)) for y in rows for x in columns]
        for done, block in enumerate(blocks, 1):
            await_result(block, "reading the slide", stall_s)
            advance(done, len(blocks))
    return thumbnail


def report_thumbnail(
    say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
) -> Callable[[int, int], None]:
    """Return a function to call with (blocks read, blocks in all), which reports every 15 s.

    Args:
        say: Called with a line.
        clock: Called without arguments; returns seconds.
    """
    last = clock()

    def advance(done: int, total: int) -> None:
        nonlocal last
        if clock() - last >= LINE_S and done < total:
            say(f"thumbnail: {done / total:.0%} of the slide read")
            last = clock()

    return advance
