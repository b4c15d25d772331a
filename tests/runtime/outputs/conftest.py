"""Glands of a slide as the output writers see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.runtime.outputs.gland_writer import AddGland, SlideGlands
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.tissue.tissue_mask import TissueMask

MakeFound = Callable[..., SlideGlands]
Write = Callable[..., list[str]]


class GlandList(list[Gland]):
    """Glands in memory that know their area, as those on disk do."""

    @property
    def area_px2(self) -> float:
        return sum(gland.polygon_px.area for gland in self)


class EmptyMap:
    """A map whose probabilities are 0."""

    def __init__(self, height_px: int, width_px: int) -> None:
        self.shape = (height_px, width_px)

    def read(self, top: int, left: int, bottom: int, right: int) -> NDArray[np.uint8]:
        return np.zeros((bottom - top, right - left), np.uint8)


def show(
    plane: Any, thumbnail: NDArray[np.uint8], px_per_px: float, probability: ReadableMap | None
) -> Imagery:
    """Show a plane as its thumbnail: no px are read from it."""
    um_per_px = plane.um_per_px
    return Imagery(
        lay_plane=lambda um: plane,
        tissue=TissueMask(np.zeros((1, 1), bool), um_per_px),
        probability=probability or EmptyMap(plane.height_px, plane.width_px),
        thumbnail=thumbnail,
        thumbnail_um_per_px=um_per_px / px_per_px,
    )


def make(
    glands: Iterable[Gland], plane: Any = None, um_per_px: float = 0.5, l0_per_px: float = 2.0, **options: Any
) -> SlideGlands:
    plane = plane or SimpleNamespace(um_per_px=um_per_px, l0_per_px=l0_per_px, width_px=200, height_px=200)
    facts: dict[str, Any] = {
        "name": "a",
        "slide_path": Path("a.tif"),
        "extent_px": (plane.width_px, plane.height_px),
        "slide_sha256": "s",
        "model_sha256": "m",
        "metadata": {},
    }
    thumbnail = options.pop("thumbnail", np.full((100, 100, 3), 220, np.uint8))
    px_per_px, probability = options.pop("thumbnail_px_per_px", 0.5), options.pop("probability", None)
    facts["imagery"] = show(plane, thumbnail, px_per_px, probability)
    listed = cast(Glands, GlandList(glands))
    return SlideGlands(**{"glands": listed, "mask_glands": listed, "plane": plane, **facts, **options})


@pytest.fixture
def make_found() -> MakeFound:
    """Return a function that puts glands on a plane, by default one of 200 x 200 px."""
    return make


@pytest.fixture
def write() -> Write:
    """Return a function that writes one output and returns the warnings."""

    def run(
        writer: Callable[..., AbstractContextManager[AddGland]],
        path: Path,
        found: SlideGlands,
        **options: Any,
    ) -> list[str]:
        warnings: list[str] = []
        with writer(path, found, warnings.append, **options) as add:
            for gland in found.glands:
                add(gland, found.measure(gland))
        return warnings

    return run
