"""One slide from file to outputs: read, segment, trace, write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glandseg.runtime.findings import Findings, name_outputs, write_findings
from glandseg.runtime.glands import Gland, trace_glands
from glandseg.runtime.glass import find_glass_colour, is_dark
from glandseg.runtime.lumen import estimate_light, map_unstained
from glandseg.runtime.model_file import ModelFile, hash_file
from glandseg.runtime.plane import SlidePlane
from glandseg.runtime.probability import Advance, lay_planes, map_probability
from glandseg.runtime.reader import Slide
from glandseg.runtime.record import Clock, write_record
from glandseg.runtime.session import Session
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide import open_slide
from glandseg.runtime.staging import stage_outputs
from glandseg.runtime.tissue import MASK_UM_PER_PX, TissueMask, find_tissue, read_thumbnail

COARSE = 1.25  # a slide whose px are this many times the model's is warned about


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a slide.

    Attributes:
        outputs: the files written.
        glands: how many were found.
        gland_mm2: their area.
        tissue_mm2: area of the tissue, its margin included.
        seconds: that it took, by stage.
        warnings: what a reader of the outputs should know.
    """

    outputs: tuple[Path, ...]
    glands: int
    gland_mm2: float
    tissue_mm2: float
    seconds: dict[str, float]
    warnings: tuple[str, ...]


def infer_slide(
    path: Path,
    session: Session,
    model: ModelFile,
    settings: InferSettings,
    *,
    out: Path | None = None,
    advance: Advance = lambda done, total: None,
    say: Callable[[str], None] = lambda text: None,
) -> Result:
    """Find the glands of a slide and write what QuPath opens, all of it or nothing.

    Args:
        path: of the slide.
        session: the model, ready.
        model: its file, for the record.
        settings: of the inference.
        out: folder of the outputs; beside the slide by default.
        advance: is told how many windows are done, and of how many.
        say: is told what the slide is before the network runs.

    Raises:
        BadInputError: if the slide cannot be read, or its um/px is neither in the file nor given.
        EnvironmentLacksError: if the outputs cannot be written.
    """
    clock, folder, names = Clock(), out or path.parent, name_outputs(path)
    with open_slide(path, settings.mpp) as slide, stage_outputs(folder, names) as scratch:
        plane = SlidePlane(slide, session.card.um_per_px)
        say(describe_slide(slide, plane))
        tissue = find_tissue(slide) if settings.tissue_mask else cover_everything(plane)
        clock.end("tissue")
        thumbnail, unread = read_thumbnail(plane.at(max(MASK_UM_PER_PX, plane.um_per_px)))
        light = estimate_light(thumbnail, find_glass_colour(thumbnail, unread))
        glands = find_glands(plane, tissue, light, session, settings, scratch, advance)
        clock.end("glands")
        findings = Findings(
            glands=glands, plane=plane, slide_sha256=hash_file(path), model_sha256=model.sha256
        )
        write_findings(findings, scratch, names, describe_frame(slide, plane))
        clock.end("outputs")
        result = Result(
            outputs=tuple(folder / name for name in names),
            glands=len(glands),
            gland_mm2=round(findings.area_mm2, 6),
            tissue_mm2=round(tissue.area_mm2, 6),
            seconds=clock.seconds,
            warnings=list_warnings(findings, tissue, is_dark(thumbnail)),
        )
        write_record(
            scratch / names[-1],
            {
                "slide": {"sha256": findings.slide_sha256, **describe_frame(slide, plane)},
                "model": {"sha256": model.sha256, "origin": model.origin, "card": asdict(session.card)},
                "backend": session.name,
                "settings": asdict(settings) | {"scales": settings.scales or session.card.scales},
                "result": {key: value for key, value in asdict(result).items() if key != "outputs"},
            },
        )
    return result


def find_glands(
    plane: SlidePlane,
    tissue: TissueMask,
    light: NDArray[np.float32],
    session: Session,
    settings: InferSettings,
    scratch: Path,
    advance: Advance,
) -> list[Gland]:
    """Segment a slide and trace its glands; the maps in `scratch` are let go of."""
    planes = lay_planes(plane, settings.scales or session.card.scales, tissue)
    probability = map_probability(planes, plane, session, scratch, batch=settings.batch, advance=advance)
    return trace_glands(
        probability,
        map_unstained(plane, probability, light, scratch / "unstained.npy", threshold=settings.threshold),
        um_per_px=plane.um_per_px,
        min_gland_um2=settings.min_gland_um2,
        min_lumen_um2=settings.min_lumen_um2,
        threshold=settings.threshold,
    )


def describe_slide(slide: Slide, plane: SlidePlane) -> str:
    """Say in a line what the slide is and how it will be read."""
    resolution = slide.resolution
    known = f"{resolution.um_per_px:.4g} um/px ({resolution.source})" if resolution else "unknown um/px"
    return (
        f"{slide.path.name}: {slide.format}, {slide.width_l0} x {slide.height_l0} px at {known}, "
        f"read as {plane.width_px} x {plane.height_px} px at {plane.um_per_px:g} um/px"
    )


def describe_frame(slide: Slide, plane: SlidePlane) -> dict[str, str]:
    """Say what the outlines count in, and how the slide's um/px is known."""
    resolution = slide.resolution
    return {
        "format": slide.format,
        "size_l0": f"{slide.width_l0} x {slide.height_l0}",
        "frame": slide.frame,
        "um_per_px": f"{resolution.um_per_px:.6g}" if resolution else "",
        "um_per_px_source": resolution.source if resolution else "",
        "l0_per_model_px": f"{plane.l0_per_px:.6g}",
    }


def cover_everything(plane: SlidePlane) -> TissueMask:
    """Give the tissue mask that leaves nothing out."""
    return TissueMask.everything(plane.width_px * plane.um_per_px, plane.height_px * plane.um_per_px)


def list_warnings(findings: Findings, tissue: TissueMask, dark: bool) -> tuple[str, ...]:
    """List what a reader of the outputs should know."""
    warnings = []
    if findings.plane.l0_per_px < 1 / COARSE:
        warnings.append(
            f"the slide's px are {1 / findings.plane.l0_per_px:.1f} times the model's: details are missing"
        )
    if dark:
        warnings.append("dark background: not a bright-field slide, so not what the model knows")
    if not tissue.mask.any():
        warnings.append("no tissue found: an empty slide, or --no-tissue-mask is needed")
    elif not findings.glands:
        warnings.append("no gland found")
    return tuple(warnings)
