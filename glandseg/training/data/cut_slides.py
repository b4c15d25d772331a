"""Slides with regions annotated in QuPath, cut into labelled patches at a model's um/px."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.slides.open import open_slide
from glandseg.slides.slide_plane import SlidePlane
from glandseg.training.data.annotated_regions import AnnotatedRegions, read_regions
from glandseg.training.data.area import Area
from glandseg.training.data.image_file import measure_white
from glandseg.training.data.patches import grid_starts
from glandseg.training.validation import refuse_outside, refuse_um

TOLERANCE = 1e-6  # of rounding


@dataclass(frozen=True, kw_only=True)
class CutSettings:
    """Settings for cutting slides.

    Attributes:
        um_per_px: Microns per pixel of the patches, at which the model will work. The default is that of
            GlaS, for which the papers chose side and stride.
        side: Side of a patch, in px.
        stride: Distance between patches, in px.
        present: Minimum share of a patch, 0 to 1, that a class covers to be labelled present.
        covered: Minimum share of a patch, 0 to 1, inside annotated regions; 1 with `outlines`.
        background: Maximum share of white in a patch, 0 to 1.
        outlines: Whether masks are written too, because the regions are exact outlines.
        mpp: Microns per level-0 px, in place of the slides' own.
    """

    um_per_px: float = 0.62
    side: int = 112
    stride: int = 56
    present: float = 0.05
    covered: float = 0.95
    background: float = 0.9
    outlines: bool = False
    mpp: float | None = None

    def __post_init__(self) -> None:
        """Raise if a value is out of range."""
        refuse_um(self.um_per_px)
        refuse_outside(self, 1, math.inf, "side", "stride")
        refuse_outside(self, 0, 1, "present", "covered", "background")


@dataclass(frozen=True, kw_only=True)
class CutPatch:
    """A patch of a slide.

    Attributes:
        x_px: Left edge, in px at the um/px of the patches.
        y_px: Upper edge.
        image: (side, side, 3) uint8 RGB.
        present: Whether it holds non-gland and gland tissue.
        mask: (side, side) uint8, 255 for gland; None without `outlines`.
    """

    x_px: int
    y_px: int
    image: NDArray[np.uint8]
    present: tuple[bool, bool]
    mask: NDArray[np.uint8] | None


def cut_slide(
    slide_path: Path,
    regions_path: Path,
    settings: CutSettings,
    note: Callable[[str], None] = lambda text: None,
) -> Iterator[CutPatch]:
    """Cut the annotated areas of a slide into patches.

    Each separate area has a grid of its own, from the upper left of its bounding box and flush with the lower
    right: one grid of the slide would miss areas little larger than a patch.

    Args:
        slide_path: Slide.
        regions_path: GeoJSON of its regions.
        settings: Settings of the cut.
        note: Called with each line on regions that are not cut.

    Raises:
        BadInputError: If slide or regions cannot be used, or no patch fits into any region.
    """
    regions_l0 = read_regions(regions_path)
    for text in regions_l0.notes:
        note(text)
    with open_slide(slide_path, settings.mpp) as slide:
        plane = SlidePlane(slide, settings.um_per_px)
        regions = regions_l0.crop(slide.width_l0, slide.height_l0).shrink(plane.l0_per_px)
        areas = Area(regions.non_gland), Area(regions.gland)
        if not any(True for _ in _place_patches(regions, areas, settings)):
            raise BadInputError(
                f"{regions_path}: no patch of {settings.side} px ({settings.side * settings.um_per_px:g} um) "
                "lies in an annotated region. Annotate larger regions, or give a smaller --side."
            )
        yield from cut_regions(plane, regions, settings)


def cut_regions(plane: SlidePlane, regions: AnnotatedRegions, settings: CutSettings) -> Iterator[CutPatch]:
    """Cut annotated areas into patches; those that are white are left out.

    Args:
        plane: Slide at the um/px of the patches.
        regions: Areas in px of the plane.
        settings: Settings of the cut.
    """
    areas = Area(regions.non_gland), Area(regions.gland)
    for x_px, y_px, present in _place_patches(regions, areas, settings):
        image = plane.read(x_px, y_px, settings.side, settings.side)
        if measure_white(image) <= settings.background:
            mask = areas[1].draw(x_px, y_px, settings.side) if settings.outlines else None
            yield CutPatch(x_px=x_px, y_px=y_px, image=image, present=present, mask=mask)


def _place_patches(
    regions: AnnotatedRegions, areas: Sequence[Area], settings: CutSettings
) -> Iterator[tuple[int, int, tuple[bool, bool]]]:
    """Yield x, y and the classes present of each patch."""
    side, size = settings.side, settings.side**2
    minimum = (1.0 if settings.outlines else settings.covered) - TOLERANCE
    for island in regions.find_islands():
        left, top, right, bottom = island.bounds
        x_px, y_px = math.ceil(left - TOLERANCE), math.ceil(top - TOLERANCE)
        across = grid_starts(math.floor(right + TOLERANCE) - x_px, side, settings.stride)
        down = grid_starts(math.floor(bottom + TOLERANCE) - y_px, side, settings.stride)
        whole = Area([island])
        for y in down:
            squares = np.array([shapely.box(*_bound(x_px + x, y_px + y, side)) for x in across], object)
            inside = whole.measure(squares) >= minimum * size
            shares = np.stack([area.measure(squares) / size for area in areas], axis=1)
            present = shares >= max(settings.present - TOLERANCE, TOLERANCE)
            for index in np.flatnonzero(inside & present.any(axis=1)):
                yield x_px + across[index], y_px + y, (bool(present[index, 0]), bool(present[index, 1]))


def _bound(x_px: int, y_px: int, side: int) -> tuple[float, float, float, float]:
    return x_px, y_px, x_px + side, y_px + side
