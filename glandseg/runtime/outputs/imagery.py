"""What outputs show of a slide itself: its px, where tissue is, and the network's probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.plane import TiledPlane


@dataclass(frozen=True, eq=False, kw_only=True)
class Imagery:
    """What is shown of a slide.

    Attributes:
        lay_plane: Called with um/px; returns the slide at it.
        tissue: Tissue within the regions of interest.
        probability: (H, W) uint8, 255 p(gland), at the model's um/px.
        thumbnail: (h, w, 3) uint8 RGB, the whole slide.
        thumbnail_um_per_px: Size of its px.
        readers: Number of threads that may read.
    """

    lay_plane: Callable[[float], TiledPlane]
    tissue: TissueMask
    probability: ReadableMap
    thumbnail: NDArray[np.uint8]
    thumbnail_um_per_px: float
    readers: int = 1
