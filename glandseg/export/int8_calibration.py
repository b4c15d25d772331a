"""Tiles to measure INT8 ranges on: training images, slides or synthetic tissue."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.doctor.tiles import list_slides, read_tiles
from glandseg.model.windows import WINDOW_PX
from glandseg.synthetic import TileKind, draw_tile
from glandseg.training.data.datasets import DataSet, find_samples
from glandseg.training.run import Run

TILES = 32
_KINDS: tuple[TileKind, ...] = ("glands", "glands", "mixed", "stroma", "muscle", "glass")
_FIRST_SEED = 1000  # not those of the tiles on which exports are compared


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Tiles to measure ranges on.

    Attributes:
        tiles: (N, 320, 320, 3) uint8 RGB.
        source: Description for the model card, without file names.
    """

    tiles: NDArray[np.uint8]
    source: str


def draw_calibration(um_per_px: float) -> Calibration:
    """Draw tissue to measure ranges on, where there are no images."""
    um_per_px = min(max(um_per_px, 0.1), 4.0)
    kinds = [_KINDS[i % len(_KINDS)] for i in range(TILES)]
    tiles = [draw_tile(WINDOW_PX, um_per_px, _FIRST_SEED + i, kind)[0] for i, kind in enumerate(kinds)]
    return Calibration(tiles=np.stack(tiles), source=f"{TILES} tiles of drawn tissue")


def read_calibration(path: Path, run: Run, um_per_px: float, mpp: float | None = None) -> Calibration:
    """Read tiles to measure ranges on.

    Args:
        path: Folder that the run was trained on, of which only training images are used; any other folder of
            slides or images; or a slide.
        run: Run that is exported.
        um_per_px: um/px of the model.
        mpp: um per level-0 px; None for that of the files or the data set.

    Raises:
        BadInputError: There is nothing to read, or its um/px is unknown.
    """
    data_set = _find_data_set(path)
    if data_set is None:
        files, kind = list_slides(path), "slides or images"
    else:
        files, kind = _list_images(data_set, run)
        mpp = mpp or data_set.um_per_px
    tiles = read_tiles(files, um_per_px, mpp=mpp, most=TILES)
    return Calibration(tiles=tiles, source=f"{len(tiles)} windows of {min(len(files), TILES)} {kind}")


def _find_data_set(path: Path) -> DataSet | None:
    try:
        return find_samples(path) if path.is_dir() else None
    except BadInputError:
        return None


def _list_images(data_set: DataSet, run: Run) -> tuple[list[Path], str]:
    """List the images to measure on, without those that the run is scored on, and describe them."""
    parts = run.read_parts()
    images = [image for image in data_set.samples if parts.get(image.name, image.part) == "train"]
    kind = f"training images of {data_set.kind}" if images else f"images of {data_set.kind}"
    return [image.path for image in images or data_set.samples], kind
