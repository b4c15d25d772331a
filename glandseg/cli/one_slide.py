"""Run one slide and print its results."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.cli.console import pluralise, say, warn
from glandseg.cli.profile_file import traced
from glandseg.cli.progress import show_progress
from glandseg.core.errors import EnvironmentLacksError

if TYPE_CHECKING:
    from glandseg.cohort.slide_runner import CohortJob
    from glandseg.core.trace import Trace
    from glandseg.model.backend import ModelBackend
    from glandseg.model.files import ModelFile
    from glandseg.runtime.settings import InferSettings


def infer_alone(slide: Path, job: CohortJob, out: Path | None, profile: Path | None) -> None:
    """Open the job's model, run one slide, and print its results.

    Args:
        slide: Slide to run.
        job: What to do with it.
        out: Folder of the outputs; None for the slide's own.
        profile: File of a trace; None for none.
    """
    from glandseg.model.model_choice import open_chosen

    with traced(profile) as trace, open_chosen(job.model, say) as (backend, file):
        if rule := backend.card.separation:
            apart = f"told apart, {rule}" if job.settings.separate else "one gland, by --no-separate"
            say(f"touching glands: {apart}")
        infer_one(slide, backend, file, job.settings, out, trace, job.overwrite)


def infer_one(
    path: Path,
    backend: ModelBackend,
    file: ModelFile,
    settings: InferSettings,
    out: Path | None,
    trace: Trace | None = None,
    overwrite: bool = False,
) -> None:
    """Run one slide and print its results."""
    from glandseg.runtime.infer import infer_slide

    start = time.monotonic()
    warned: list[str] = []

    def announce(warning: str) -> None:
        warned.append(warning)
        warn(f"warning: {path.name}: {warning}")

    with explain_interruption(path), show_progress("windows") as advance:
        result = infer_slide(
            path,
            backend,
            file,
            settings,
            out=out,
            advance=lambda done, total: advance(done, total, ""),
            say=say,
            warn=announce,
            trace=trace,
            overwrite=overwrite,
        )
    for warning in result.warnings:
        if warning not in warned:
            announce(warning)
    seconds = time.monotonic() - start
    touching = result.mask_glands != result.glands
    apart = f" ({result.mask_glands} with those that touch as one)" if touching else ""
    say(
        f"{path.name}: {pluralise(result.glands, 'gland')}{apart}, {result.gland_mm2:.3f} mm2 "
        f"of {result.tissue_mm2:.3f} mm2 tissue, in {seconds:.1f} s; "
        f"the network was busy {result.network_share:.0%} of the time"
    )
    for output in result.outputs:
        say(f"  {output}")


@contextlib.contextmanager
def explain_interruption(path: Path) -> Iterator[None]:
    """Print how to resume when Ctrl-C or a signal interrupts a slide.

    Raises:
        EnvironmentLacksError: There is not enough memory for the slide.
    """
    try:
        yield
    except MemoryError as error:
        raise EnvironmentLacksError(
            f"{path}: not enough memory. Free some, or give a smaller --batch or --max-ram."
        ) from error
    except KeyboardInterrupt:
        warn(f"{path.name}: finished windows are kept; to resume, repeat the command")
        raise
