"""The thumbnail of a whole slide: its tissue, white point and what cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from glandseg.core.callbacks import Advance
from glandseg.core.workers import STALL_S
from glandseg.runtime.tissue.background import find_background_color, is_dark
from glandseg.runtime.tissue.illumination import list_illumination_warnings
from glandseg.runtime.tissue.lumen import estimate_white_point
from glandseg.runtime.tissue.thumbnail_reader import lay_thumbnail, read_thumbnail
from glandseg.runtime.tissue.tissue_mask import MASK_UM_PER_PX, TissueMask, find_fill, mask_tissue
from glandseg.slides.slide import Slide
from glandseg.slides.unread import UnreadRegions

CROP_MM2 = 0.5  # an image up to this large is a crop: all of it is tissue


@dataclass(frozen=True, eq=False, kw_only=True)
class Thumbnail:
    """A slide's thumbnail, and what it shows.

    Attributes:
        rgb: (h, w, 3) uint8 RGB, the whole slide; unread px have the background's color.
        unread: (h, w) bool, px that touch unread regions.
        um_per_px: Size of the thumbnail's px; those of the tissue mask may be larger.
        tissue: Tissue; unread regions count as tissue.
        white_point: (3,) float32 RGB in 0..255 of light that passes where nothing is stained.
        is_dark: Whether it is mostly black, as fluorescence is.
        warnings: Warnings on the illumination and color.
    """

    rgb: NDArray[np.uint8]
    unread: NDArray[np.bool_]
    um_per_px: float
    tissue: TissueMask
    white_point: NDArray[np.float32]
    is_dark: bool
    warnings: tuple[str, ...] = ()

    @property
    def fill_rgb(self) -> tuple[int, int, int]:
        """The white point in whole numbers: the color of unread px."""
        red, green, blue = (int(level) for level in np.rint(self.white_point))
        return red, green, blue


def make_thumbnail(
    slide: Slide,
    unread_regions: UnreadRegions | None = None,
    *,
    threads: int = 1,
    stall_s: float = STALL_S,
    advance: Advance = lambda done, total: None,
) -> Thumbnail:
    """Make a slide's thumbnail from the coarsest level that is fine enough.

    Besides the thumbnail of at most 18 MB and the slide's own cache, memory stays below 100 MB per thread,
    whatever the slide's size. The result depends on the slide alone.

    Args:
        slide: Slide, open.
        unread_regions: Unread regions, to which new ones are added.
        threads: Number of threads that read.
        stall_s: Seconds that a block may take.
        advance: Called with (blocks read, blocks in all).

    Raises:
        BadInputError: The slide's um/px is unknown.
        StalledError: The drive does not answer.
    """
    found = UnreadRegions()
    plane = lay_thumbnail(slide, found)
    thumbnail = read_thumbnail(plane, threads, stall_s, advance)
    if unread_regions is not None:
        for entry in found.entries:
            unread_regions.add(entry.x_l0, entry.y_l0, entry.width_l0, entry.height_l0, entry.reason)
    marked = found.mask(0, 0, plane.width_px, plane.height_px, plane.l0_per_px)
    unread = np.zeros(thumbnail.shape[:2], np.bool_) if marked is None else marked
    um_per_px = plane.um_per_px
    del plane  # and the tiles that it keeps
    return build_thumbnail(thumbnail, unread, um_per_px)


def build_thumbnail(thumbnail: NDArray[np.uint8], unread: NDArray[np.bool_], um_per_px: float) -> Thumbnail:
    """Find the tissue, white point and warnings of a thumbnail.

    Args:
        thumbnail: (h, w, 3) uint8 RGB; its unread px are set to the white point.
        unread: (h, w) bool.
        um_per_px: Size of its px.
    """
    times = max(round(MASK_UM_PER_PX / um_per_px), 1)
    small, lost = shrink(thumbnail, times), shrink(unread.view(np.uint8) * 255, times) > 0
    small[lost] = 255  # like the scanner's fill
    area_mm2 = small.shape[0] * small.shape[1] * (um_per_px * times) ** 2 / 1e6
    is_crop = area_mm2 <= CROP_MM2
    mask = np.ones_like(lost) if is_crop else mask_tissue(small, um_per_px * times) | lost
    readable = small if not lost.any() or lost.all() else small[~lost][None]
    fill, dark = find_fill(readable), is_dark(readable)
    background = find_background_color(readable, fill)
    white_point = estimate_white_point(readable, background)
    thumbnail[unread] = np.rint(white_point)
    return Thumbnail(
        rgb=thumbnail,
        unread=unread,
        um_per_px=um_per_px,
        tissue=TissueMask(mask, um_per_px * times),
        white_point=white_point,
        is_dark=dark,
        warnings=(
            *list_illumination_warnings(
                readable, fill, has_background=dark or background is not None, is_crop=is_crop
            ),
            *(warn_of_one_color(small) if mask.any() and not lost.any() else ()),
        ),
    )


def warn_of_one_color(thumbnail: NDArray[np.uint8]) -> tuple[str, ...]:
    """Warn where a thumbnail, (h, w, 3) uint8 RGB, has one color throughout."""
    first = thumbnail[0, 0]
    if (thumbnail != first).any():
        return ()
    color = tuple(int(level) for level in first)
    return (f"the whole slide is of one color, RGB {color}: empty, transparent or damaged",)


def shrink(image: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """Average blocks of `times` x `times` px, the last ones made whole by repeating the edge."""
    if times == 1:
        return image
    height, width = image.shape[:2]
    edges = (0, -height % times, 0, -width % times)
    whole = cv2.copyMakeBorder(image, *edges, cv2.BORDER_REPLICATE)
    size = (whole.shape[1] // times, whole.shape[0] // times)
    return np.asarray(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), np.uint8)
