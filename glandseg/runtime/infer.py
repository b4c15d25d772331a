"""One slide from file to outputs, all of them or none; cut off, it goes on where it was."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from glandseg.core.atomic import explain_disk_errors, move_into_place, try_names
from glandseg.core.trace import Trace
from glandseg.core.units import GIB
from glandseg.core.workers import call_in_time
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.runtime.memory import Budget
from glandseg.runtime.outputs.older_outputs import check_older_outputs
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.slide_facts import describe_slide, list_grounds
from glandseg.runtime.slide_run import STALL_S, Job, Result, Say
from glandseg.runtime.tiling.window_run import Advance
from glandseg.runtime.tissue.roi_file import read_roi
from glandseg.runtime.work_folder import open_work_folder
from glandseg.slides.open import open_slide
from glandseg.slides.slide_files import check_unchanged, hash_slide, list_slide_files, read_state
from glandseg.slides.slide_plane import SlidePlane

SLOWEST_BYTES_S = 1e6  # of a drive that still counts as answering


def infer_slide(
    path: Path,
    backend: ModelBackend,
    model: ModelFile,
    settings: InferSettings,
    *,
    out: Path | None = None,
    advance: Advance = lambda done, total: None,
    say: Say = lambda text: None,
    warn: Say = lambda text: None,
    trace: Trace | None = None,
    overwrite: bool = False,
) -> Result:
    """Find the glands of a slide and write what QuPath opens, all of it or nothing.

    Cut off at any moment, the same call goes on where it was, and writes the same bytes.

    Args:
        path: of the slide.
        backend: the model, ready.
        model: its file, for the record.
        settings: of the inference.
        out: folder of the outputs; beside the slide by default.
        advance: is told how many windows are done, and of how many.
        say: is told what the slide is and what it will take, before the network runs.
        warn: called with each of the result's warnings that is known before the windows run.
        trace: is added what the time was spent on, if the slide fails too.
        overwrite: Replace outputs that another slide has in this folder under the same names.

    Raises:
        BadInputError: if the slide cannot be read or changes meanwhile, its um/px is neither in the file
            nor given, or outputs of another slide are in the way.
        EnvironmentLacksError: if the outputs cannot be written, or memory or disk do not suffice.
        StalledError: if the disk or the network does not answer.
        UnreadError: if too much of the tissue cannot be read.
    """
    own = Trace(keeps_spans=trace is not None and trace.keeps_spans)
    paths = OutputPaths.of_slide(path, out)
    folder, names = paths.folder, paths.names
    budget = Budget(ceiling=int(settings.max_ram_gib * GIB))
    with _pass_on(own, trace), contextlib.ExitStack() as opened:
        slide = opened.enter_context(
            call_in_time("opening the slide", STALL_S, open_slide, path, settings.mpp, budget.decoder_cache)
        )
        base = SlidePlane(slide, backend.card.um_per_px)
        say(describe_slide(slide, base))
        roi = read_roi(settings.roi, slide) if settings.roi else None
        files = list_slide_files(path)
        state = read_state(files)
        with own.span("hash"):
            limit_s = STALL_S + sum(size for _, size, _ in state) / SLOWEST_BYTES_S
            sha256 = call_in_time("reading the slide", limit_s, hash_slide, files)
        with explain_disk_errors(folder):
            check_older_outputs(paths, sha256, overwrite, say)
        grounds = list_grounds(sha256, model, backend, settings)
        with open_work_folder(folder, paths.stem, grounds, say) as work:
            try_names(work, names)
            job = Job(
                slide=slide,
                sha256=sha256,
                backend=backend,
                model=model,
                settings=settings,
                budget=budget,
                roi=roi,
                work=work,
                trace=own,
            )
            result = job.run(replace(paths, folder=work), say, advance, warn)
            check_unchanged(path, state, sha256)
            move_into_place(work, folder, names)
    return replace(result, outputs=tuple(folder / name for name in names))


@contextlib.contextmanager
def _pass_on(own: Trace, trace: Trace | None) -> Iterator[None]:
    try:
        yield
    finally:
        if trace is not None:
            trace.absorb(own)
