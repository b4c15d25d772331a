"""Sizes that no file of its length can have, refused before px are read: reading them would take hours."""

from __future__ import annotations

from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.slides.slide_files import list_slide_files, read_state

MOST_PX_PER_BYTE = 100_000  # JPEG packs 512 px into a byte at most; glass between scans takes no bytes
LEAST_SIDE_PX = 512  # of a level whose proportions tell: smaller ones may be padded to whole tiles
MOST_DISTORTION = 1.5


def check_plausible(path: Path, sizes_wh: list[tuple[int, int]]) -> None:
    """Raise where the sizes that a slide states cannot be its own.

    Args:
        path: Slide.
        sizes_wh: Width and height of its levels in px, full resolution first.

    Raises:
        BadInputError: Its files are too small for so large an image, or two levels differ in proportions.
    """
    width, height = sizes_wh[0]
    size = sum(size for _, size, _ in read_state(list_slide_files(path)))
    if width * height > MOST_PX_PER_BYTE * size > 0:
        raise BadInputError(
            f"{path}: states {width:,} x {height:,} px, more than its {size:,} bytes can hold: "
            "damaged. Copy or export the slide again"
        )
    for other in sizes_wh[1:2]:
        x, y = width / other[0], height / other[1]
        if min(other) >= LEAST_SIDE_PX and max(x / y, y / x) > MOST_DISTORTION:
            raise BadInputError(
                f"{path}: states {width:,} x {height:,} px, and {other[0]:,} x {other[1]:,} px shrunk, which "
                "are not in proportion: damaged. Copy or export the slide again"
            )
