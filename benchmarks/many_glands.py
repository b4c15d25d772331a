"""Slides with as many synthetic glands as wanted, for outputs that are written without a network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon

from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.plane import TiledPlane

SPACING_PX, POINTS = 60, 104  # of glands, as on real colon at 1.3 um/px
UM_PER_PX, L0_PER_PX, THUMBNAIL_UM = 1.3, 2.6, 10.4


class ManyGlands:
    """Glands on a grid, made when they are read."""

    def __init__(self, count: int) -> None:
        self._count, self._side = count, math.ceil(math.sqrt(count))
        self.area_px2 = 0.0

    def __len__(self) -> int:
        """Return the number of glands."""
        return self._count

    def __getitem__(self, index: int) -> Gland:
        """Draw a wavy disc."""
        random, angles = np.random.default_rng((0, index)), np.linspace(0, 2 * np.pi, POINTS, endpoint=False)
        radii = 20 + 3 * np.sin(angles * random.integers(2, 7)) + random.normal(0, 0.3, POINTS)
        row, column = divmod(index, self._side)
        xy = np.stack([radii * np.cos(angles), radii * np.sin(angles)], 1)
        polygon = Polygon(xy + (np.array([column, row]) + 0.5) * SPACING_PX)
        return Gland(number=index + 1, polygon_px=polygon, mean_probability=0.9, lumen_fraction=0.1)

    def __iter__(self) -> Iterator[Gland]:
        """Draw all."""
        return map(self.__getitem__, range(self._count))


class NoProbability:
    """A map of zeros."""

    def __init__(self, side_px: int) -> None:
        self.shape = (side_px, side_px)

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        """Return zeros."""
        return np.zeros((bottom - top, right - left), np.uint8)


def lay_glands(slide: Path, glands: Any) -> SlideGlands:
    """Lay glands on a synthetic slide's frame.

    Args:
        slide: Path of the slide.
        glands: `ManyGlands`, or as many in a store.
    """
    side_px = math.ceil(math.sqrt(len(glands))) * SPACING_PX
    plane = cast(
        TiledPlane,
        SimpleNamespace(um_per_px=UM_PER_PX, l0_per_px=L0_PER_PX, width_px=side_px, height_px=side_px),
    )
    thumbnail = np.full((math.ceil(side_px / 8), math.ceil(side_px / 8), 3), (235, 210, 225), np.uint8)
    return SlideGlands(
        name="synthetic",
        slide_path=slide,
        glands=cast(Glands, glands),
        mask_glands=cast(Glands, glands),
        plane=plane,
        extent_px=(side_px, side_px),
        slide_sha256="",
        model_sha256="",
        imagery=Imagery(
            lay_plane=lambda um: plane,
            tissue=TissueMask(np.zeros((1, 1), np.bool_), 8.0),
            probability=NoProbability(side_px),
            thumbnail=thumbnail,
            thumbnail_um_per_px=THUMBNAIL_UM,
        ),
        metadata={},
    )
