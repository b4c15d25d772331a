"""What a slide's outputs are written from, and the protocol of what writes one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.measurements import Measurements, measure_gland
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.slides.plane import TiledPlane
from glandseg.slides.slide_plane import ROUNDING

AddGland = Callable[[Gland, Measurements], None]
Warn = Callable[[str], None]


@dataclass(frozen=True, kw_only=True)
class SlideGlands:
    """The glands of a slide, and what its outputs need to draw and describe them.

    Attributes:
        name: Name of the slide, as its outputs begin.
        glands: Glands on disk, with contours in px of the plane.
        mask_glands: Glands that the mask shows, where those that touch are one.
        plane: Slide at the model's um/px.
        extent_px: Width and height of the slide in px of the plane, whose last px may lie partly outside.
        slide_sha256: SHA-256 of the slide's file.
        model_sha256: SHA-256 of the model's file.
        thumbnail: (h, w, 3) uint8 RGB of the whole plane.
        thumbnail_px_per_px: Thumbnail px per px of the plane.
        metadata: Facts about the slide and its coordinates.
        probability: p(gland) of the plane, 0..255, read while outputs are written.
        unread: GeoJSON features of the parts that could not be read, in level-0 px.
        csv_decimal: Decimal mark of the table, "." or ",".
    """

    name: str
    glands: Glands
    mask_glands: Glands
    plane: TiledPlane
    extent_px: tuple[float, float]
    slide_sha256: str
    model_sha256: str
    thumbnail: NDArray[np.uint8]
    thumbnail_px_per_px: float
    metadata: Mapping[str, str]
    probability: ReadableMap | None = None
    unread: Sequence[Mapping[str, Any]] = ()
    csv_decimal: str = "."

    @property
    def area_mm2(self) -> float:
        """Area of all glands, lumina excluded."""
        return self.glands.area_px2 * self.plane.um_per_px**2 / 1e6

    @property
    def mask_shape(self) -> tuple[int, int]:
        """Height and width of the mask: px that lie on the slide as a whole, at least 1."""
        width, height = (max(1, math.floor(side + ROUNDING)) for side in self.extent_px)
        return min(height, self.plane.height_px), min(width, self.plane.width_px)

    def get_probability(self) -> ReadableMap:
        """Return p(gland) of the plane.

        Raises:
            ValueError: It was not given.
        """
        if self.probability is None:
            raise ValueError("probability: needed by this output. Received: None")
        return self.probability

    def measure(self, gland: Gland) -> Measurements:
        """Measure one of the glands."""
        return measure_gland(
            gland,
            um_per_px=self.plane.um_per_px,
            l0_per_px=self.plane.l0_per_px,
            slide_hash=self.slide_sha256,
            model_hash=self.model_sha256,
        )


class GlandWriter(Protocol):
    """Writes one output, gland by gland; a generator under `contextlib.contextmanager` is one."""

    def __call__(self, path: Path, found: SlideGlands, warn: Warn, /) -> AbstractContextManager[AddGland]:
        """Open an output; the file is complete once the context closes without an exception.

        Args:
            path: File to write; working files may lie beside it.
            found: Glands of the slide; `found.glands` itself is read by the caller alone.
            warn: Called with what a reader of the file should know.

        Returns:
            Context of a function that is called with each gland and its measurements, in reading order.
        """
