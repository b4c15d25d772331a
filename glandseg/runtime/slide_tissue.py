"""The tissue of a slide: found in its thumbnail, and how much of it cannot be read."""

from __future__ import annotations

from dataclasses import dataclass

from glandseg.core.callbacks import Advance, Say
from glandseg.core.errors import BadInputError
from glandseg.core.system import release_memory
from glandseg.core.workers import STALL_S
from glandseg.runtime.maps.tile_map import ReadableMap
from glandseg.runtime.outputs.imagery import Imagery
from glandseg.runtime.slide_facts import list_early_warnings
from glandseg.runtime.slide_run import SlideRun
from glandseg.runtime.tissue.thumbnail import Thumbnail, make_thumbnail
from glandseg.runtime.tissue.thumbnail_reader import describe_reading, report_thumbnail
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

IMAGERY_CACHE_BYTES = 16 << 20
WATCHED_WINDOWS = 64  # after which the share of unread tissue is measured again


class UnreadError(BadInputError):
    """More of the tissue cannot be read than was allowed (exit code 2)."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Tissue:
    """Where a slide holds tissue, and where of it to look.

    Attributes:
        thumbnail: Thumbnail of the slide.
        mask: Tissue, or everything without a tissue mask.
        inside: Tissue within the regions of interest.
        area_mm2: Area of the tissue within the regions of interest, in mm2.
        warnings: Warnings that are known before the windows run.
    """

    thumbnail: Thumbnail
    mask: TissueMask
    inside: TissueMask
    area_mm2: float
    warnings: tuple[str, ...]


def find_tissue(run: SlideRun, warn: Say) -> Tissue:
    """Make the slide's thumbnail, find the tissue in it, and warn of what is known before the windows run."""
    if reading := describe_reading(run.slide):
        run.say(reading)
    with run.trace.span("thumbnail"):
        advance = report_thumbnail(run.say)
        thumbnail = make_thumbnail(
            run.slide, run.unread_regions, threads=run.readers, stall_s=STALL_S, advance=advance
        )
        release_memory()
    um = run.slide.resolution.um_per_px if run.slide.resolution else 1.0
    everything = TissueMask.everything(run.slide.width_l0 * um, run.slide.height_l0 * um)
    mask = thumbnail.tissue if run.settings.tissue_mask else everything
    inside, area_mm2 = run.roi.restrict(mask) if run.roi else (mask, mask.area_mm2)
    warnings = list_early_warnings(run.slide, run.base.um_per_px, inside, thumbnail, run.roi)
    for warning in warnings:
        warn(warning)
    tissue = Tissue(thumbnail=thumbnail, mask=mask, inside=inside, area_mm2=area_mm2, warnings=warnings)
    measure_unread(run, tissue)
    return tissue


def show_slide(run: SlideRun, tissue: Tissue, probability: ReadableMap) -> Imagery:
    """Return what outputs show of a slide whose windows have run; unread px have the background's color.

    What cannot be read for them is not added to the run's unread regions, on which a resumed run depends.
    """
    unread, fill_rgb = UnreadRegions(), tissue.thumbnail.fill_rgb
    return Imagery(
        lay_plane=lambda um: SlidePlane(run.slide, um, IMAGERY_CACHE_BYTES, unread, fill_rgb),
        tissue=tissue.inside,
        probability=probability,
        thumbnail=tissue.thumbnail.rgb,
        thumbnail_um_per_px=tissue.thumbnail.um_per_px,
        readers=run.readers,
    )


def watch_unread(run: SlideRun, tissue: Tissue, advance: Advance) -> Advance:
    """Return `advance`, with a check of the unread tissue every 64 windows."""

    def watch(done: int, total: int) -> None:
        advance(done, total)
        if done % WATCHED_WINDOWS == 0:
            measure_unread(run, tissue)

    return watch


def measure_unread(run: SlideRun, tissue: Tissue) -> float:
    """Return the share of the tissue that could not be read, 0..1.

    Raises:
        UnreadError: It is more than allowed.
    """
    um_per_l0 = run.base.um_per_px / run.base.l0_per_px
    unread = run.unread_regions.measure_share(tissue.inside.mask, tissue.inside.um_per_px / um_per_l0)
    if unread > run.settings.max_unread:
        raise UnreadError(
            f"{run.slide.path}: {unread:.1%} of the tissue cannot be read, more than --max-unread "
            f"{run.settings.max_unread:g} allows ({run.unread_regions.entries[0].reason}). "
            "Copy or export the slide again, or allow more."
        )
    return unread
