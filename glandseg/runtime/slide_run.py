"""An open slide with its model, settings and work folder: what every step of its run needs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import shapely

from glandseg.core.atomic import explain_disk_errors, move_into_place, try_names
from glandseg.core.callbacks import Say
from glandseg.core.system import count_cpus
from glandseg.core.trace import Trace
from glandseg.core.units import GIB
from glandseg.core.workers import STALL_S, call_in_time
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.model.separation import CORE_CHANNEL, Separation
from glandseg.runtime.glands.borders import Borders
from glandseg.runtime.memory import Budget
from glandseg.runtime.outputs.choice import choose_outputs
from glandseg.runtime.outputs.older_outputs import check_older_outputs, list_foreign_outputs
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide_facts import describe_slide, list_resume_key
from glandseg.runtime.tissue.roi import Roi
from glandseg.runtime.tissue.roi_file import read_roi
from glandseg.runtime.work_folder import open_work_folder
from glandseg.slides.open import open_slide
from glandseg.slides.slide import Slide
from glandseg.slides.slide_files import check_unchanged, hash_slide, list_slide_files, read_state
from glandseg.slides.slide_plane import SlidePlane
from glandseg.slides.unread import UnreadRegions

MIN_BYTES_S = 1e6  # of a drive that still counts as answering
MAX_READERS = 8


@dataclass(frozen=True, kw_only=True)
class SlideRun:
    """An open slide and all that its run depends on.

    Attributes:
        slide: Slide, open.
        slide_sha256: SHA-256 of the slide's file.
        base: The slide at the model's um/px; its size and frame, not its px, are used.
        backend: Model, ready to run.
        model: Model file.
        settings: Settings of the inference.
        budget: Limits of memory.
        roi: Regions of interest; None for the whole slide.
        paths: Final paths of the outputs.
        work: Work folder, open.
        unread_regions: Parts of the slide that cannot be read; the run adds to them.
        trace: Time spent by stage.
        say: Called with a line for the user.
    """

    slide: Slide
    slide_sha256: str
    base: SlidePlane
    backend: ModelBackend
    model: ModelFile
    settings: InferSettings
    budget: Budget
    roi: Roi | None
    paths: OutputPaths
    work: Path
    unread_regions: UnreadRegions
    trace: Trace
    say: Say

    @cached_property
    def readers(self) -> int:
        """The number of threads that read the slide."""
        return min(count_cpus(), MAX_READERS)

    @property
    def separation(self) -> Separation | None:
        """The rule by which touching glands are told apart; None leaves them together."""
        return self.backend.card.separation if self.settings.separate else None

    @property
    def keeps_core(self) -> bool:
        """Whether p(core) is needed."""
        return self.separation is not None and self.separation.channel == CORE_CHANNEL

    @property
    def extent_px(self) -> tuple[float, float]:
        """The slide's width and height in px of the base plane."""
        return self.slide.width_l0 / self.base.l0_per_px, self.slide.height_l0 / self.base.l0_per_px

    def list_borders(self) -> Borders:
        """Return the lines at which glands are cut, in px of the base plane, once the windows have run."""
        l0_per_px = self.base.l0_per_px
        unread = [entry.box_l0 for entry in self.unread_regions.entries]
        cut = [*unread, *(self.roi.areas_l0 if self.roi else ())]
        inner = [shapely.transform(area, lambda xy: xy / l0_per_px) for area in cut]
        return Borders([shapely.box(0, 0, *self.extent_px), *inner])


@contextlib.contextmanager
def open_run(
    path: Path,
    paths: OutputPaths,
    backend: ModelBackend,
    model: ModelFile,
    settings: InferSettings,
    *,
    trace: Trace,
    say: Say,
    overwrite: bool,
) -> Iterator[SlideRun]:
    """Open a slide and its work folder; move the outputs from there into place when the block ends well.

    The arguments and errors are those of `infer_slide`.
    """
    budget = Budget(ceiling=int(settings.max_ram_gib * GIB))
    with _open_slide(path, settings, budget) as slide:
        for name, output in paths.outputs.items():
            output.check_format(name, path.name, slide.format)
        base = SlidePlane(slide, backend.card.um_per_px)
        say(describe_slide(slide, base))
        roi = read_roi(settings.roi, slide) if settings.roi else None
        files = list_slide_files(path)
        state = read_state(files)
        with trace.span("hash"):
            limit_s = STALL_S + sum(size for _, size, _ in state) / MIN_BYTES_S
            sha256 = call_in_time("reading the slide", limit_s, hash_slide, files)
        with explain_disk_errors(paths.folder):
            check_older_outputs(paths, sha256, overwrite, say)
        key = list_resume_key(sha256, model, backend, settings)
        with open_work_folder(paths.folder, paths.stem, key, say) as work:
            try_names(work, paths.names)
            yield SlideRun(
                slide=slide,
                slide_sha256=sha256,
                base=base,
                backend=backend,
                model=model,
                settings=settings,
                budget=budget,
                roi=roi,
                paths=paths,
                work=work,
                unread_regions=UnreadRegions(work / "unread.jsonl"),
                trace=trace,
                say=say,
            )
            check_unchanged(path, state, sha256)
            move_into_place(work, paths.folder, paths.names, list_foreign_outputs(paths, sha256))


@contextlib.contextmanager
def open_trial(
    path: Path, backend: ModelBackend, model: ModelFile, settings: InferSettings
) -> Iterator[SlideRun]:
    """Open a slide to see what it will take: nothing is hashed, and nothing stays on disk.

    The arguments and errors are those of `infer_slide`.
    """
    budget = Budget(ceiling=int(settings.max_ram_gib * GIB))
    with _open_slide(path, settings, budget) as slide, TemporaryDirectory(prefix="glandseg-") as work:
        yield SlideRun(
            slide=slide,
            slide_sha256="",
            base=SlidePlane(slide, backend.card.um_per_px),
            backend=backend,
            model=model,
            settings=settings,
            budget=budget,
            roi=read_roi(settings.roi, slide) if settings.roi else None,
            paths=OutputPaths.of_slide(path, None, choose_outputs(settings)),
            work=Path(work),
            unread_regions=UnreadRegions(),
            trace=Trace(),
            say=lambda text: None,
        )


def _open_slide(path: Path, settings: InferSettings, budget: Budget) -> Slide:
    return call_in_time("opening the slide", STALL_S, open_slide, path, settings.mpp, budget.decoder_cache)
