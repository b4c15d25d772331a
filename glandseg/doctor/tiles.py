"""Windows of the user's own slides and images, to compare model files on and to measure ranges on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.model.parity import draw_golden_tiles
from glandseg.model.windows import WINDOW_PX, window_starts
from glandseg.runtime.tissue.thumbnail import make_thumbnail
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane

OWN = 24  # windows of the user's, beside the drawn ones


def gather_tiles(
    um_per_px: float,
    own: Path | None = None,
    mpp: float | None = None,
    drawn: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Give the tiles that model files are compared on: drawn ones, and the user's.

    Args:
        um_per_px: at which the model works.
        own: slide, or folder of slides or images; none leaves it at the drawn tiles.
        mpp: um per level-0 px of the user's, in place of what the files say.
        drawn: (N, 320, 320, 3) uint8 RGB; none draws them.

    Returns:
        (N, 320, 320, 3) uint8 RGB.
    """
    tiles = draw_golden_tiles(um_per_px) if drawn is None else drawn
    return tiles if own is None else np.concatenate([tiles, read_tiles(list_slides(own), um_per_px, mpp=mpp)])


def list_slides(path: Path) -> list[Path]:
    """List what `path` is or, for a folder, all slides and images in it, sorted by name.

    Raises:
        BadInputError: if there is nothing at `path`, or nothing in it.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInputError(f"{path}: there is no such file or folder. Check the path.")
    files = sorted(file for file in path.iterdir() if file.is_file() and _holds_pixels(file))
    if not files:
        raise BadInputError(f"{path}: no slide or image in this folder. Give one that holds some.")
    return files


def read_tiles(
    paths: Sequence[Path], um_per_px: float, *, mpp: float | None = None, most: int = OWN
) -> NDArray[np.uint8]:
    """Read windows with tissue, evenly over all slides and over each, the same ones every time.

    Args:
        paths: of slides or images.
        um_per_px: at which to read.
        mpp: um per level-0 px, in place of what the files say.
        most: windows at most.

    Returns:
        (N, 320, 320, 3) uint8 RGB, 1 <= N <= most.

    Raises:
        BadInputError: if a file cannot be read, its um/px is unknown, or none shows tissue.
    """
    chosen = pick_evenly(paths, most)
    windows = [window for path in chosen for window in _read_slide(path, um_per_px, mpp, most // len(chosen))]
    if not windows:
        raise BadInputError(f"{chosen[0]}: no tissue found here, nor in any other. Give slides with tissue.")
    return np.stack(windows)


def pick_evenly(items: Sequence[Path], most: int) -> list[Path]:
    """Pick at most so many items, evenly from first to last."""
    places = np.linspace(0, len(items) - 1, min(len(items), most)).round().astype(int)
    return [items[i] for i in places]


def _read_slide(path: Path, um_per_px: float, mpp: float | None, most: int) -> list[NDArray[np.uint8]]:
    with open_slide(path, mpp) as slide:
        plane = SlidePlane(slide, um_per_px)
        tissue, side_um = make_thumbnail(slide).tissue, WINDOW_PX * um_per_px
        corners = [
            (x_px, y_px)
            for y_px in window_starts(plane.height_px)
            for x_px in window_starts(plane.width_px)
            if tissue.covers(x_px * um_per_px, y_px * um_per_px, side_um, side_um)
        ]
        places = np.linspace(0, len(corners) - 1, min(len(corners), max(most, 1))).round().astype(int)
        return [plane.read(x_px, y_px, WINDOW_PX, WINDOW_PX) for x_px, y_px in (corners[i] for i in places)]


def _holds_pixels(path: Path) -> bool:
    try:
        with open_slide(path, 1.0):
            return True
    except BadInputError:
        return False
