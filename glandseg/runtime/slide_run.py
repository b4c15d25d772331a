"""The work on one slide, from its survey to its outputs in the work folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path

from glandseg.core.errors import BadInputError
from glandseg.core.system import count_cpus, release_memory
from glandseg.core.trace import Trace
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.runtime.glands.store import Glands
from glandseg.runtime.memory import Budget, Pace, measure_pace
from glandseg.runtime.outputs.gland_writer import SlideGlands
from glandseg.runtime.outputs.record import write_record
from glandseg.runtime.outputs.write import OutputPaths, write_outputs
from glandseg.runtime.preflight import Preflight
from glandseg.runtime.settings import CHEAP_SCALES, PAPER_SCALES, InferSettings
from glandseg.runtime.slide_facts import describe_frame, list_early_warnings, list_late_warnings
from glandseg.runtime.tiling.blend import Exclude
from glandseg.runtime.tiling.flip import Mirrored
from glandseg.runtime.tiling.pipeline import Infer
from glandseg.runtime.tiling.scales import ScalePlane
from glandseg.runtime.tiling.window_run import Advance, NetworkCalls, WindowRun
from glandseg.runtime.tissue.roi import Roi
from glandseg.runtime.tissue.thumbnail import Thumbnail, make_thumbnail
from glandseg.runtime.tissue.thumbnail_progress import report_thumbnail
from glandseg.runtime.tissue.thumbnail_reader import describe_reading
from glandseg.runtime.tissue.tissue_mask import TissueMask
from glandseg.slides.scaled_plane import lay_scale
from glandseg.slides.slide import Slide
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

STALL_S = 600.0
MOST_READERS = 8
WATCHED_WINDOWS = 64  # after which the share of unread tissue is measured again
TOLERANCE_PX = 0.1  # of outlines: a quarter of the vertices, and no gland's area changes by 1 %
Say = Callable[[str], None]


class UnreadError(BadInputError):
    """More of the tissue cannot be read than was allowed (exit code 2)."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """What came of a slide.

    Attributes:
        outputs: the files written.
        glands: how many were found.
        gland_mm2: their area.
        tissue_mm2: area of the tissue, its margin included; with regions of interest, of that inside them.
        unread_share: of that tissue, what could not be read and was left out, 0..1.
        windows: that the network answered for.
        network_share: of the time between the survey and the outputs, while the network was busy, 0..1.
        seconds: in which each stage was busy; stages overlap.
        warnings: what a reader of the outputs should know.
    """

    outputs: tuple[Path, ...] = ()
    glands: int
    gland_mm2: float
    tissue_mm2: float
    unread_share: float
    windows: int
    network_share: float
    seconds: dict[str, float]
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One slide's work, its folder being open.

    Attributes:
        slide: open.
        sha256: of its file.
        backend: the model, ready.
        model: its file.
        settings: of the inference.
        budget: of memory.
        roi: what to look at; None for all.
        work: the folder.
        trace: of the time spent.
    """

    slide: Slide
    sha256: str
    backend: ModelBackend
    model: ModelFile
    settings: InferSettings
    budget: Budget
    roi: Roi | None
    work: Path
    trace: Trace

    def run(self, paths: OutputPaths, say: Say, advance: Advance, warn: Say = lambda text: None) -> Result:
        """Do it, and leave the outputs in the work folder, the record last."""
        unread_regions = UnreadRegions(self.work / "unread.jsonl")
        if reading := describe_reading(self.slide):
            say(reading)
        with self.trace.span("survey"):
            thumbnail = make_thumbnail(
                self.slide,
                unread_regions,
                threads=self._count_readers(),
                stall_s=STALL_S,
                advance=report_thumbnail(say),
            )
            release_memory()
        tissue = thumbnail.tissue if self.settings.tissue_mask else self._cover_everything()
        looked_at, tissue_mm2 = (tissue, tissue.area_mm2) if self.roi is None else self.roi.restrict(tissue)
        warnings = list_early_warnings(
            self.slide, self.backend.card.um_per_px, looked_at, thumbnail, self.roi
        )
        for warning in warnings:
            warn(warning)
        with self._lay_windows(thumbnail, tissue, unread_regions) as run:
            self._measure_unread(looked_at, unread_regions, run)
            pace = self._prepare(run, say)

            def watch(done: int, total: int) -> None:
                advance(done, total)
                if done % WATCHED_WINDOWS == 0:
                    self._measure_unread(looked_at, unread_regions, run)

            with self.trace.span("windows"):
                glands = self._find_glands(run, pace, thumbnail, unread_regions, watch)
            unread = self._measure_unread(looked_at, unread_regions, run)
            found = SlideGlands(
                name=paths.stem,
                glands=glands,
                plane=run.base.plane,
                extent_px=self._measure_extent_px(run),
                slide_sha256=self.sha256,
                model_sha256=self.model.sha256,
                thumbnail=thumbnail.rgb,
                thumbnail_px_per_px=run.base.plane.um_per_px / thumbnail.um_per_px,
                metadata=self._describe(run),
                unread=unread_regions.list_features(self.sha256),
                csv_decimal=self.settings.csv_decimal,
            )
            with self.trace.span("write"):
                notes = write_outputs(found, paths)
            warnings += (*list_late_warnings(found, looked_at, unread_regions), *notes)
            result = self._sum_up(found, tissue_mm2, run, unread, warnings)
        self._write_record(paths.record, result, unread_regions, run)
        return result

    def _cover_everything(self) -> TissueMask:
        um = self.slide.resolution.um_per_px if self.slide.resolution else 1.0
        return TissueMask.everything(self.slide.width_l0 * um, self.slide.height_l0 * um)

    def _count_readers(self) -> int:
        return min(count_cpus(), MOST_READERS)

    def _lay_windows(
        self, thumbnail: Thumbnail, tissue: TissueMask, unread_regions: UnreadRegions
    ) -> WindowRun:
        """Lay planes over the slide; where the settings are adaptive, those that are run everywhere first."""
        scales = self.settings.scales or self.backend.card.scales
        cheap = len(scales)
        if self.settings.adaptive:
            scales = (*CHEAP_SCALES, *(scale for scale in PAPER_SCALES if scale not in CHEAP_SCALES))
            cheap = len(CHEAP_SCALES)
        cache_bytes = self.budget.share_planes(len(scales))
        share, um_per_px = cache_bytes // len(scales), self.backend.card.um_per_px
        slide_plane = SlidePlane(self.slide, um_per_px, share, unread_regions, thumbnail.fill_rgb)

        def lay(scale: float) -> ScalePlane:
            plane = lay_scale(slide_plane, scale, share)
            return ScalePlane(scale=scale, plane=plane, wanted=partial(self._wants, tissue))

        planes, base = [lay(scale) for scale in scales], lay(1.0)
        return WindowRun(planes=planes, cheap=cheap, base=base, work=self.work, cache_bytes=cache_bytes)

    def _wants(self, tissue: TissueMask, *rectangle_um: float) -> bool:
        return tissue.covers(*rectangle_um) and (self.roi is None or self.roi.touches(*rectangle_um))

    def _prepare(self, run: WindowRun, say: Say) -> Pace:
        """Measure the network, say what the slide will take, and refuse if it does not fit."""
        self.slide.clear_cache()
        reserve, held = self.budget.reserve(len(run.planes)), self.slide.held_bytes
        pace = measure_pace(self._infer, self.settings.batch, self.budget.ceiling, reserve, held)
        pixels = run.base.grid.height_px * run.base.grid.width_px
        preflight = Preflight.weigh(run.windows, run.count_left(), pace.window_s, pace.peak, pixels)
        say(str(preflight))
        if pace.batch < self.settings.batch:
            say(f"batches of {pace.batch} windows, to stay within --max-ram {self.settings.max_ram_gib:g}")
        preflight.check_disk(self.work, run.store.size)
        return pace

    def _find_glands(
        self,
        run: WindowRun,
        pace: Pace,
        thumbnail: Thumbnail,
        unread_regions: UnreadRegions,
        advance: Advance,
    ) -> Glands:
        l0_per_px = run.base.plane.l0_per_px
        excludes: list[Exclude] = [partial(unread_regions.mask, l0_per_px=l0_per_px)]
        if self.roi is not None:
            excludes.append(partial(self.roi.exclude, l0_per_px=l0_per_px))
        calls = NetworkCalls(
            infer=self._infer,
            slots=self.backend.slots,
            batch=pace.batch,
            readers=self._count_readers(),
            stall_s=STALL_S,
        )
        return run.run(
            calls,
            thumbnail.white_point,
            excludes,
            self.trace,
            advance,
            um_per_px=run.base.plane.um_per_px,
            min_gland_um2=self.settings.min_gland_um2,
            min_lumen_um2=self.settings.min_lumen_um2,
            threshold=self.settings.threshold,
            tolerance_px=TOLERANCE_PX,
            extent_px=self._measure_extent_px(run),
        )

    def _measure_extent_px(self, run: WindowRun) -> tuple[float, float]:
        """Return the slide's width and height in px of the base plane."""
        l0_per_px = run.base.plane.l0_per_px
        return self.slide.width_l0 / l0_per_px, self.slide.height_l0 / l0_per_px

    @cached_property
    def _infer(self) -> Infer:
        return Mirrored(self.backend).infer if self.settings.flips else self.backend.infer

    def _describe(self, run: WindowRun) -> dict[str, str]:
        return describe_frame(self.slide, run.base.plane)

    def _measure_unread(self, tissue: TissueMask, unread_regions: UnreadRegions, run: WindowRun) -> float:
        """Measure the share of the tissue that could not be read, 0..1.

        Raises:
            UnreadError: if it is too much.
        """
        um_per_l0 = run.base.plane.um_per_px / run.base.plane.l0_per_px
        unread = unread_regions.measure_share(tissue.mask, tissue.um_per_px / um_per_l0)
        if unread > self.settings.max_unread:
            raise UnreadError(
                f"{self.slide.path}: {unread:.1%} of the tissue cannot be read, more than --max-unread "
                f"{self.settings.max_unread:g} allows ({unread_regions.entries[0].reason}). "
                "Copy or export the slide again, or allow more."
            )
        return unread

    def _sum_up(
        self,
        found: SlideGlands,
        tissue_mm2: float,
        run: WindowRun,
        unread: float,
        warnings: tuple[str, ...],
    ) -> Result:
        """Sum up what was found."""
        times = self.trace.get_times()
        network_s = times["network"].busy_s if "network" in times else 0.0
        return Result(
            glands=len(found.glands),
            gland_mm2=round(found.area_mm2, 6),
            tissue_mm2=round(tissue_mm2, 6),
            unread_share=round(unread, 6),
            windows=run.count_stored(),
            network_share=round(network_s / max(times["windows"].busy_s, 1e-9), 4),
            seconds={name: stage.busy_s for name, stage in times.items()},
            warnings=warnings,
        )

    def _write_record(
        self, path: Path, result: Result, unread_regions: UnreadRegions, run: WindowRun
    ) -> None:
        scales = [item.scale for item in run.planes]
        asked = asdict(self.settings) | {"scales": scales, "roi": bool(self.roi)}
        write_record(
            path,
            {
                "slide": {"sha256": self.sha256, **self._describe(run), "said": list(self.slide.statements)},
                "model": {
                    "sha256": self.model.sha256,
                    "origin": self.model.origin,
                    "card": asdict(self.backend.card),
                },
                "backend": self.backend.name,
                "settings": asked,
                "result": {key: value for key, value in asdict(result).items() if key != "outputs"},
                "unread": [asdict(entry) for entry in unread_regions.entries],
            },
        )
