"""Facts of a slide for the terminal, the outputs and the record, its warnings, and its resume key."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import glandseg
from glandseg.core.system import hash_file
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.tissue.roi import Roi
from glandseg.runtime.tissue.thumbnail import Thumbnail
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.mpp import warn_of_scale
from glandseg.slides.plane import TiledPlane
from glandseg.slides.slide import Slide
from glandseg.slides.unread import UnreadRegions

_AFTERWARDS = (
    "threshold",
    "min_gland_um2",
    "min_lumen_um2",
    "batch",
    "max_ram_gib",
    "max_unread",
    "csv_decimal",
    "suggest",
    "report_mb",
    "write",
    "roi",
)


def describe_slide(slide: Slide, plane: TiledPlane) -> str:
    """Describe in a line what the slide is and how it will be read."""
    resolution = slide.resolution
    known = f"{resolution.um_per_px:.4g} um/px ({resolution.source})" if resolution else "unknown um/px"
    return (
        f"{slide.path.name}: {slide.format}, {slide.width_l0} x {slide.height_l0} px at {known}, "
        f"read as {plane.width_px} x {plane.height_px} px at {plane.um_per_px:g} um/px"
    )


def describe_frame(slide: Slide, plane: TiledPlane) -> dict[str, str]:
    """Describe the frame of the glands, and how the slide's um/px is known."""
    resolution = slide.resolution
    return {
        "format": slide.format,
        "size_l0": f"{slide.width_l0} x {slide.height_l0}",
        "frame": slide.frame,
        "um_per_px": f"{resolution.um_per_px:.6g}" if resolution else "",
        "um_per_px_source": resolution.source if resolution else "",
        "l0_per_model_px": f"{plane.l0_per_px:.6g}",
    }


def list_early_warnings(
    slide: Slide, model_um_per_px: float, tissue: TissueMask, thumbnail: Thumbnail, roi: Roi | None
) -> tuple[str, ...]:
    """List the warnings that are known before the windows run.

    Args:
        slide: Slide, open.
        model_um_per_px: Size of the model's px.
        tissue: Tissue within the regions of interest.
        thumbnail: Thumbnail of the slide.
        roi: Regions of interest; None for the whole slide.
    """
    warnings: list[str] = [*slide.warnings]
    if slide.resolution is not None:
        warnings += slide.resolution.warnings
        warnings += warn_of_scale(slide.resolution.um_per_px, model_um_per_px)
    warnings += thumbnail.warnings
    if thumbnail.is_dark:
        warnings.append("dark background: not a bright-field slide, so not what the model knows")
    if not tissue.mask.any():
        warnings.append("no tissue found: an empty slide or region, or --no-tissue-mask is needed")
    return (*warnings, *(roi.notes if roi is not None else ()))


def list_late_warnings(
    found: SlideGlands, tissue: TissueMask, unread_regions: UnreadRegions
) -> tuple[str, ...]:
    """List the warnings that are known once the windows have run."""
    warnings = []
    if unread_regions.entries:
        parts = len(unread_regions.entries)
        warnings.append(f"{parts} part{'s' * (parts > 1)} of the slide cannot be read: left out and listed")
    if tissue.mask.any() and not found.glands:
        warnings.append("no gland found")
    return tuple(warnings)


def list_resume_key(
    slide_sha256: str, model: ModelFile, backend: ModelBackend, settings: InferSettings
) -> dict[str, Any]:
    """List all that the network's probabilities depend on, to the last bit: equal keys resume."""
    used = {key: value for key, value in asdict(settings).items() if key not in _AFTERWARDS}
    return {
        "glandseg": glandseg.__version__,
        "slide": slide_sha256,
        "model": model.sha256,
        "backend": backend.identity,
        "roi": hash_file(settings.roi) if settings.roi else None,
        **used,
    }
