"""What was found on a slide, and the files that say so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.geojson import write_geojson
from glandseg.runtime.glands import Gland, draw_mask
from glandseg.runtime.mask_tiff import write_mask
from glandseg.runtime.measurements import Measurements, measure_gland, write_csv
from glandseg.runtime.overview import write_overview
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.probability import create_map
from glandseg.runtime.tissue import read_thumbnail

MASK_SUFFIX = ".mask.ome.tif"
SUFFIXES = (".glands.geojson", MASK_SUFFIX, ".glands.csv", ".overview.png", ".run.json")
OVERVIEW_PX = 1600  # the longer side of the overview, at most


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The glands of a slide, and the frame that their outlines count in.

    Attributes:
        glands: with outlines in px of the plane.
        plane: of the slide at the model's um/px.
        slide_sha256: of the slide's file.
        model_sha256: of the model's file.
    """

    glands: list[Gland]
    plane: SlidePlane
    slide_sha256: str
    model_sha256: str

    @property
    def area_mm2(self) -> float:
        """Area of all glands, lumina left out."""
        return sum(gland.polygon_px.area for gland in self.glands) * self.plane.um_per_px**2 / 1e6

    def measure(self) -> list[Measurements]:
        """Measure every gland."""
        return [
            measure_gland(
                gland,
                um_per_px=self.plane.um_per_px,
                l0_per_px=self.plane.l0_per_px,
                slide_hash=self.slide_sha256,
                model_hash=self.model_sha256,
            )
            for gland in self.glands
        ]


def name_outputs(slide: Path) -> list[str]:
    """Give the names of a slide's outputs, the record last.

    They begin with the slide's name without its suffix; `.ome.tif` counts as one.
    """
    stem = slide.stem[:-4] if slide.name.lower().endswith((".ome.tif", ".ome.tiff")) else slide.stem
    return [stem + suffix for suffix in SUFFIXES]


def write_findings(findings: Findings, folder: Path, names: list[str], metadata: Mapping[str, str]) -> None:
    """Write outlines, mask, table and overview under the first four names."""
    outlines, mask, table, overview = (folder / name for name in names[:4])
    plane, measurements = findings.plane, findings.measure()
    write_geojson(outlines, findings.glands, measurements, l0_per_px=plane.l0_per_px, metadata=metadata)
    drawn = create_map(folder / "mask.npy", plane).view(np.bool_)
    write_mask(mask, draw_mask(findings.glands, (plane.height_px, plane.width_px), drawn), plane.um_per_px)
    write_csv(table, measurements)
    picture, share = draw_thumbnail(plane)
    write_overview(overview, picture, findings.glands, thumbnail_px_per_px=share, um_per_px=plane.um_per_px)


def draw_thumbnail(plane: SlidePlane) -> tuple[NDArray[np.uint8], float]:
    """Draw the whole plane small: (h, w, 3) uint8 RGB, and how many of its px are one px of the plane."""
    shrink = max(plane.width_px, plane.height_px, OVERVIEW_PX) / OVERVIEW_PX
    small = plane.at(plane.um_per_px * shrink)
    return read_thumbnail(small)[0], 1 / shrink
