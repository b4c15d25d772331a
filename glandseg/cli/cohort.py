"""Many slides of one command: listed, planned, run, watched for, and summarised."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from glandseg.cli.cohort_progress import CohortProgress
from glandseg.cli.console import pluralise, say, warn
from glandseg.cli.profile_file import traced
from glandseg.cli.progress import show_progress
from glandseg.core.errors import BadInputError

if TYPE_CHECKING:
    from glandseg.cohort.cohort_slide import CohortSlide
    from glandseg.cohort.slide_runner import CohortJob, Outcome, Runner

_SHARD = re.compile(r"(\d{1,6})/(\d{1,6})")


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """Slides of a command line, and how to run them.

    Attributes:
        job: What to do with each.
        given: Paths, patterns and folders.
        out: Folder of the outputs; None for that of each slide.
        recursive: Look in subfolders too.
        table: CSV file of slides, in place of `given`.
        workers: Number of slides to run at a time, or "auto".
        devices: Devices, which the workers take in turn.
        shard: Part of the slides to run, "2/8"; None for all.
        ray: Address of a Ray cluster to run on; None for this machine.
        profile: File of a trace; None for none.
    """

    job: CohortJob
    given: Sequence[Path]
    out: Path | None = None
    recursive: bool = False
    table: Path | None = None
    workers: str = "1"
    devices: Sequence[str] = ("auto",)
    shard: str | None = None
    ray: str | None = None
    profile: Path | None = None

    def is_one(self, found: Sequence[CohortSlide]) -> bool:
        """Return whether one slide was named, which is run whatever is known of it."""
        many = self.table or self.shard or self.ray or any(path.is_dir() for path in self.given)
        return len(found) == 1 and not many

    def find_summary_folder(self, found: Sequence[CohortSlide]) -> Path | None:
        """Return the folder that holds all outputs; None where they lie in several folders."""
        if self.out is not None:
            return self.out
        if self.table is not None:
            return self.table.parent
        folders = [path for path in self.given if path.is_dir()] or sorted({slide.folder for slide in found})
        return folders[0] if len(folders) == 1 else None


def list_cohort(cohort: Cohort) -> list[CohortSlide]:
    """List the slides of a command line.

    Raises:
        BadInputError: There is none, or two would write the same files.
    """
    from glandseg.cohort.find_slides import find_slides
    from glandseg.cohort.slide_table import read_slide_table

    if bool(cohort.given) == (cohort.table is not None):
        raise BadInputError("infer: slides, folders, or a table of slides with --list. Give one of them.")
    if cohort.table is not None:
        return read_slide_table(cohort.table, cohort.out, say)
    return find_slides(cohort.given, cohort.out, recursive=cohort.recursive, say=say, warn=warn)


def run_slides(
    cohort: Cohort, found: Sequence[CohortSlide], wanted: Sequence[CohortSlide] | None = None
) -> int:
    """Run the slides that are not done yet, write the summary, and return how many have failed.

    Args:
        cohort: How to run them.
        found: All slides of the cohort, which the summary covers.
        wanted: Those to run; None for all, or the cohort's shard.
    """
    from glandseg.cohort.summary import PAGE, write_summary
    from glandseg.cohort.summary_row import describe_states

    folder = cohort.find_summary_folder(found)
    try:
        outcomes = _run(cohort, _choose_shard(found, cohort.shard) if wanted is None else wanted)
    finally:
        if folder is not None:
            rows = write_summary(found, folder, cohort.job.settings.csv_decimal)
            say(f"{describe_states(rows)}; look at {folder / PAGE}")
    if folder is None:
        say("no summary: the outputs lie in several folders. With --out FOLDER there is one.")
    return _report(outcomes)


def watch_slides(cohort: Cohort) -> None:
    """Run each slide of a folder once it has stopped growing, until a signal ends the process."""
    from glandseg.cohort.watch import POLL_S, list_ready

    say(f"watching {', '.join(map(str, cohort.given))}, every {POLL_S:g} s; Ctrl-C ends it")
    for ready in list_ready(lambda: list_cohort(cohort)):
        run_slides(cohort, list_cohort(cohort), ready)


def print_plan(cohort: Cohort, found: Sequence[CohortSlide]) -> None:
    """Print what the slides that are not done will take; nothing is run or written."""
    from glandseg.cohort.plan import describe_total, weigh_cohort

    plans = []
    for plan in weigh_cohort(cohort.job, _choose_shard(found, cohort.shard), say):
        plans.append(plan)
        say(str(plan))
    say(describe_total(plans))


def _choose_shard(found: Sequence[CohortSlide], shard: str | None) -> Sequence[CohortSlide]:
    if shard is None:
        return found
    written = _SHARD.fullmatch(shard)
    number, count = map(int, written.groups()) if written else (0, 0)
    if not 1 <= number <= count:
        raise BadInputError(f"--shard: I/N, the part I of N, such as 2/8. Received: {shard}")
    return found[number - 1 :: count]


def _run(cohort: Cohort, slides: Sequence[CohortSlide]) -> list[Outcome]:
    """Run the slides that need it; the model is opened only if one does."""
    from glandseg.cohort.dispatch import run_cohort
    from glandseg.cohort.slide_runner import list_settled

    settled = list_settled(cohort.job, slides)
    left = [slide for slide in slides if slide not in {outcome.slide for outcome in settled}]
    if not left:
        return settled
    say(f"{pluralise(len(left), 'slide')} to run" + (f", {len(settled)} settled before" if settled else ""))
    with _open_runners(cohort, len(left)) as runners, show_progress("windows") as advance:
        return settled + run_cohort(left, runners, CohortProgress(len(left), advance))


@contextmanager
def _open_runners(cohort: Cohort, slides: int) -> Iterator[Sequence[Runner]]:
    from glandseg.cohort.ray_workers import start_ray_workers
    from glandseg.cohort.slide_runner import open_slide_runner
    from glandseg.cohort.worker_plan import plan_workers
    from glandseg.cohort.worker_process import start_workers

    if cohort.ray is not None:
        with start_ray_workers(cohort.job, cohort.ray, cohort.workers, slides, say) as ray_workers:
            yield ray_workers
        return
    jobs = plan_workers(cohort.job, cohort.workers, cohort.devices, slides)
    if len(jobs) > 1:
        if cohort.profile is not None:
            raise BadInputError("--profile: of one worker. Leave --workers or --profile out.")
        say(f"{len(jobs)} workers, with {jobs[0].settings.max_ram_gib:.2g} GiB each")
        with start_workers(jobs, say) as workers:
            yield workers
        return
    with traced(cohort.profile) as trace, open_slide_runner(jobs[0], say, trace) as runner:
        yield [runner]


def _report(outcomes: Sequence[Outcome]) -> int:
    """Print what was not run, and return how many slides have failed."""
    from glandseg.cohort.slide_state import FAILED

    for outcome in outcomes:
        state = outcome.state
        if outcome.is_busy:
            where = f"on {state.host}, process {state.pid}, since {state.began}" if state else "elsewhere"
            say(f"{outcome.slide.path.name}: runs {where}")
        elif state is not None and state.state == FAILED and not outcome.is_new:
            warn(f"{outcome.slide.path.name}: failed before: {state.reason} To run it again: --retry-failed.")
    return sum(outcome.state is not None and outcome.state.state == FAILED for outcome in outcomes)
