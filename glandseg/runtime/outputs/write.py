"""What was found on a slide, and the files that say so."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.glands.measurements import Measurements, measure_gland
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.glands.tracer import draw_gland
from glandseg.runtime.maps.tile_map import TileMap
from glandseg.runtime.outputs.geojson import warn_of_size, write_geojson
from glandseg.runtime.outputs.mask_tiff import write_mask
from glandseg.runtime.outputs.overview import write_overview
from glandseg.runtime.outputs.table import write_csv
from glandseg.slides.plane import TiledPlane
from glandseg.slides.slide_plane import ROUNDING

MASK_SUFFIX = ".mask.ome.tif"
SUFFIXES = (".glands.geojson", MASK_SUFFIX, ".glands.csv", ".overview.png", ".run.json")


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The glands of a slide, and the frame that their outlines count in.

    Attributes:
        glands: on disk, with outlines in px of the plane.
        plane: of the slide at the model's um/px.
        extent_px: width and height of the slide in px of the plane, whose last px may lie partly outside.
        slide_sha256: of the slide's file.
        model_sha256: of the model's file.
        unread: GeoJSON features of what could not be read.
    """

    glands: Glands
    plane: TiledPlane
    extent_px: tuple[float, float]
    slide_sha256: str
    model_sha256: str
    unread: Sequence[Mapping[str, Any]] = ()

    @property
    def area_mm2(self) -> float:
        """Area of all glands, lumina left out."""
        return self.glands.area_px2 * self.plane.um_per_px**2 / 1e6

    @property
    def mask_shape(self) -> tuple[int, int]:
        """Height and width of the mask: px that lie on the slide as a whole, 1 at least."""
        width, height = (max(1, math.floor(side + ROUNDING)) for side in self.extent_px)
        return min(height, self.plane.height_px), min(width, self.plane.width_px)

    def measure(self) -> Iterator[Measurements]:
        """Measure every gland, one at a time."""
        for gland in self.glands:
            yield measure_gland(
                gland,
                um_per_px=self.plane.um_per_px,
                l0_per_px=self.plane.l0_per_px,
                slide_hash=self.slide_sha256,
                model_hash=self.model_sha256,
            )


def name_outputs(slide: Path) -> list[str]:
    """Give the names of a slide's outputs, the record last.

    They begin with the slide's name without its suffix; `.ome.tif` counts as one.
    """
    stem = slide.stem[:-4] if slide.name.lower().endswith((".ome.tif", ".ome.tiff")) else slide.stem
    return [stem + suffix for suffix in SUFFIXES]


def write_findings(
    findings: Findings,
    folder: Path,
    names: list[str],
    metadata: Mapping[str, str],
    *,
    thumbnail: NDArray[np.uint8],
    thumbnail_px_per_px: float,
    csv_decimal: str = ".",
) -> list[str]:
    """Write outlines, mask, table and overview under the first four names; one gland at a time is held.

    Args:
        findings: what to write.
        folder: where; passing files are laid in it too.
        names: of the files.
        metadata: of the outlines.
        thumbnail: (h, w, 3) uint8 RGB of the whole plane.
        thumbnail_px_per_px: px of the thumbnail per px of the plane.
        csv_decimal: decimal mark of the table, "." or ",".

    Returns:
        What a reader of the files should know.
    """
    outlines, mask, table, overview = (folder / name for name in names[:4])
    plane, glands = findings.plane, findings.glands
    with write_csv(table, table.name.removesuffix(SUFFIXES[2]), csv_decimal) as write_row:
        rows = _pass_on(findings.measure(), write_row)
        write_geojson(
            outlines, glands, rows, l0_per_px=plane.l0_per_px, metadata=metadata, others=findings.unread
        )
    with TileMap(folder / "mask.map", *findings.mask_shape) as drawn:
        for gland in glands:
            draw_gland(gland, drawn)
        write_mask(mask, drawn, plane.um_per_px)
    write_overview(
        overview,
        thumbnail,
        glands,
        thumbnail_px_per_px=thumbnail_px_per_px,
        um_per_px=plane.um_per_px,
        area_mm2=findings.area_mm2,
    )
    return warn_of_size(len(glands), outlines.stat().st_size)


def _pass_on(
    rows: Iterator[Measurements], write_row: Callable[[Measurements], None]
) -> Iterator[Measurements]:
    """Give each gland's measurements once they are in the table."""
    for row in rows:
        write_row(row)
        yield row
