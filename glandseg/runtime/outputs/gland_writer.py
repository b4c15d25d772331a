"""What a slide's outputs are written from, and the protocol of what writes one of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.borders import Borders
from glandseg.runtime.glands.measurements import Measurements, Surroundings, measure_gland
from glandseg.runtime.glands.neighbors import find_neighbors
from glandseg.runtime.glands.store import Gland, Glands
from glandseg.runtime.maps.uncertainty import Suggestion
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.tissue.pieces import TissuePieces
from glandseg.slides.plane import TiledPlane
from glandseg.slides.slide_plane import ROUNDING

AddGland = Callable[[Gland, Measurements], None]
Warn = Callable[[str], None]
REPORT_BYTES = 20_000_000


@dataclass(frozen=True, kw_only=True)
class SlideGlands:
    """The glands of a slide, and what its outputs need to draw and describe them.

    Attributes:
        name: Name of the slide, as its outputs begin.
        slide_path: The slide.
        glands: Glands on disk, with contours in px of the plane.
        mask_glands: Glands that the mask shows, where those that touch are one.
        plane: Slide at the model's um/px.
        extent_px: Width and height of the slide in px of the plane, whose last px may lie partly outside.
        slide_sha256: SHA-256 of the slide's file.
        model_sha256: SHA-256 of the model's file.
        imagery: The slide's px, tissue and probabilities.
        metadata: Facts about the slide and its coordinates.
        borders: Lines at which glands are cut.
        unread: GeoJSON features of the parts that could not be read, in level-0 px.
        suggestions: Regions to correct first.
        csv_decimal: Decimal mark of the table, "." or ",".
        report_bytes: Maximum size of the report.
    """

    name: str
    slide_path: Path
    glands: Glands
    mask_glands: Glands
    plane: TiledPlane
    extent_px: tuple[float, float]
    slide_sha256: str
    model_sha256: str
    imagery: Imagery
    metadata: Mapping[str, str]
    borders: Borders = field(default_factory=lambda: Borders([]))
    unread: Sequence[Mapping[str, Any]] = ()
    suggestions: Sequence[Suggestion] = ()
    csv_decimal: str = "."
    report_bytes: int = REPORT_BYTES

    @cached_property
    def neighbors_px(self) -> NDArray[np.float64]:
        """Distances of each gland to its nearest neighbors, as of `find_neighbors`."""
        return find_neighbors(self.glands)

    @cached_property
    def pieces(self) -> TissuePieces:
        """Pieces of the tissue."""
        return TissuePieces(self.imagery.tissue)

    @property
    def area_mm2(self) -> float:
        """Area of all glands, lumina excluded."""
        return self.glands.area_px2 * self.plane.um_per_px**2 / 1e6

    @property
    def mask_shape(self) -> tuple[int, int]:
        """Height and width of the mask: px that lie on the slide as a whole, at least 1."""
        width, height = (max(1, math.floor(side + ROUNDING)) for side in self.extent_px)
        return min(height, self.plane.height_px), min(width, self.plane.width_px)

    def measure(self, gland: Gland) -> Measurements:
        """Measure one of the glands."""
        return measure_gland(
            gland,
            um_per_px=self.plane.um_per_px,
            l0_per_px=self.plane.l0_per_px,
            slide_hash=self.slide_sha256,
            model_hash=self.model_sha256,
            surroundings=self._look_around(gland),
        )

    def _look_around(self, gland: Gland) -> Surroundings:
        middle, um_per_px = gland.polygon_px.centroid, self.plane.um_per_px
        centroid, edge = self.neighbors_px[gland.number - 1].tolist()
        return Surroundings(
            is_on_border=self.borders.touch(gland.polygon_px),
            nearest_centroid_px=centroid,
            nearest_edge_px=edge,
            tissue_piece=self.pieces.find(middle.x * um_per_px, middle.y * um_per_px),
        )


class GlandWriter(Protocol):
    """Writes one output, gland by gland; a generator under `contextlib.contextmanager` is one."""

    def __call__(self, path: Path, found: SlideGlands, warn: Warn, /) -> AbstractContextManager[AddGland]:
        """Open an output; the file is complete once the context closes without an exception.

        Args:
            path: File to write; working files may lie beside it.
            found: Glands of the slide; `found.glands` itself is read by the caller alone, and `mask_glands`
                only after the last gland was added, as both may lie in one file.
            warn: Called with what a reader of the file should know.

        Returns:
            Context of a function that is called with each gland and its measurements, in reading order. Each
            output is opened, called and closed by a thread of its own.
        """
