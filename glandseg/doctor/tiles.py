"""Windows of slides and images of the user, to compare model files and to calibrate INT8 on."""

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

OWN = 24  # windows of the user, in addition to the synthetic ones


def gather_tiles(
    um_per_px: float,
    own: Path | None = None,
    mpp: float | None = None,
    synthetic: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Draw and read the tiles to compare model files on.

    Args:
        um_per_px: um/px of the model.
        own: Slide, or folder of slides or images; None for synthetic tiles only.
        mpp: um per level-0 px of `own`; None for that of the files.
        synthetic: (N, 320, 320, 3) uint8 RGB; None draws them.

    Returns:
        (N, 320, 320, 3) uint8 RGB.
    """
    tiles = draw_golden_tiles(um_per_px) if synthetic is None else synthetic
    return tiles if own is None else np.concatenate([tiles, read_tiles(list_slides(own), um_per_px, mpp=mpp)])


def list_slides(path: Path) -> list[Path]:
    """List a file or, for a folder, all slides and images in it, sorted by name.

    Raises:
        BadInputError: The path does not exist, or the folder has no slide or image.
    """
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise BadInputError(f"{path}: no such file or folder. Check the path.")
    files = sorted(file for file in path.iterdir() if file.is_file() and _holds_pixels(file))
    if not files:
        raise BadInputError(f"{path}: no slide or image in this folder. Give another one.")
    return files


def read_tiles(
    paths: Sequence[Path], um_per_px: float, *, mpp: float | None = None, most: int = OWN
) -> NDArray[np.uint8]:
    """Read windows with tissue, evenly over all slides and over each; deterministic.

    Args:
        paths: Paths of slides or images.
        um_per_px: um/px of the windows.
        mpp: um per level-0 px; None for that of the files.
        most: Maximum number of windows.

    Returns:
        (N, 320, 320, 3) uint8 RGB, 1 <= N <= most.

    Raises:
        BadInputError: A file cannot be read, its um/px is unknown, or no file has tissue.
    """
    chosen = pick_evenly(paths, most)
    windows = [window for path in chosen for window in _read_slide(path, um_per_px, mpp, most // len(chosen))]
    if not windows:
        raise BadInputError(f"{chosen[0]}: no tissue in this file or any other. Give slides with tissue.")
    return np.stack(windows)


def pick_evenly(items: Sequence[Path], most: int) -> list[Path]:
    """Pick at most `most` items, evenly from first to last."""
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
