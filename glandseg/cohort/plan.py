"""What a cohort will take, slide by slide, before anything is run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import CohortJob, list_settled
from glandseg.core.callbacks import Say
from glandseg.core.errors import explain
from glandseg.core.units import GIB
from glandseg.model.model_choice import open_chosen
from glandseg.runtime.preflight import Preflight, describe_seconds, weigh_slide


@dataclass(frozen=True, kw_only=True)
class SlidePlan:
    """What a slide will take.

    Attributes:
        slide: Slide.
        preflight: What it will take; None if it needs no run, or cannot be read.
        note: Why it will not run; empty if it will.
    """

    slide: CohortSlide
    preflight: Preflight | None = None
    note: str = ""

    def __str__(self) -> str:
        return f"{self.slide.path}: {self.preflight or self.note}"


def weigh_cohort(job: CohortJob, slides: Sequence[CohortSlide], say: Say) -> Iterator[SlidePlan]:
    """Yield what each slide will take; a slide that cannot be read is reported and does not stop the others.

    Args:
        job: What to do with each slide.
        slides: Slides.
        say: Called with lines on the model.
    """
    settled = {outcome.slide: outcome.state for outcome in list_settled(job, slides)}
    with open_chosen(job.model, say) as (backend, file):
        for slide in slides:
            if state := settled.get(slide):
                yield SlidePlan(slide=slide, note=f"{state.state} before, nothing has changed")
                continue
            try:
                preflight = weigh_slide(slide.path, backend, file, job.of_slide(slide))
            except Exception as error:
                yield SlidePlan(slide=slide, note=f"would fail: {explain(error)}")
            else:
                yield SlidePlan(slide=slide, preflight=preflight)


def describe_total(plans: Sequence[SlidePlan]) -> str:
    """Describe in a line what all slides together will take."""
    weighed = [plan.preflight for plan in plans if plan.preflight is not None]
    seconds, windows = sum(one.seconds for one in weighed), sum(one.windows for one in weighed)
    memory, disk = max((one.memory for one in weighed), default=0), sum(one.disk for one in weighed)
    return (
        f"{len(weighed)} of {len(plans)} slides to run: {windows:,} windows, "
        f"about {describe_seconds(seconds)} of network, {memory / GIB:.1f} GiB of memory, "
        f"up to {disk / GIB:.2g} GiB of disk"
    )
