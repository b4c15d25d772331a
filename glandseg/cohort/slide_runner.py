"""Run slides of a cohort with one open model: each that no process has done or is doing."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import glandseg
from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_state import (
    DONE,
    FAILED,
    RUNNING,
    SlideState,
    claim_slide,
    read_slide_state,
    write_slide_state,
)
from glandseg.core.atomic import explain_disk_errors
from glandseg.core.callbacks import Say
from glandseg.core.errors import EnvironmentLacksError, GlandsegError, explain
from glandseg.core.system import hash_file
from glandseg.core.trace import Trace
from glandseg.model.backend import ModelBackend
from glandseg.model.files import ModelFile
from glandseg.model.model_choice import ModelChoice, open_chosen
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.outputs.choice import choose_outputs
from glandseg.runtime.outputs.older_outputs import read_slide_hash
from glandseg.runtime.outputs.write import OutputPaths
from glandseg.runtime.settings import InferSettings
from glandseg.slides.slide_files import hash_slide, list_slide_files, read_state

FIGURES = ("glands", "mask_glands", "gland_mm2", "tissue_mm2", "unread_share", "windows")


class Listener(Protocol):
    """What a run reports while it lasts."""

    def warn(self, slide: str, text: str) -> None:
        """Take a warning about a slide."""

    def fail(self, slide: str, reason: str) -> None:
        """Take the reason for which a slide has failed."""

    def advance(self, slide: str, done: int, total: int) -> None:
        """Take the number of windows done and in all."""


@dataclass(frozen=True, kw_only=True)
class CohortJob:
    """What to do with each slide of a cohort.

    Attributes:
        model: Model to run, and on what.
        settings: Settings of the inference.
        overwrite: Replace outputs of other slides that have the same names.
        retry_failed: Run slides again that failed with the same content and settings.
    """

    model: ModelChoice
    settings: InferSettings
    overwrite: bool = False
    retry_failed: bool = False

    def of_slide(self, slide: CohortSlide) -> InferSettings:
        """Return the settings of a slide: the job's, but for what the slide's own say."""
        mpp = self.settings.mpp if slide.mpp is None else slide.mpp
        return replace(self.settings, mpp=mpp, roi=slide.roi or self.settings.roi)

    def key(self, slide: CohortSlide, model_sha256: str) -> str:
        """Return the hash of all but the slide's content that its outputs depend on.

        The device and the precision that it runs fastest do not count: one cohort may be run on several
        kinds of machine.
        """
        settings = self.of_slide(slide)
        values = asdict(settings) | {
            "glandseg": glandseg.__version__,
            "model": model_sha256,
            "precision": self.model.precision,
            "roi": hash_file(settings.roi) if settings.roi else None,
            "write": choose_outputs(settings),
        }
        del values["batch"], values["max_ram_gib"]
        return hashlib.sha256(json.dumps(values, sort_keys=True, default=str).encode()).hexdigest()

    def is_settled(self, slide: CohortSlide, state: SlideState | None, model_sha256: str) -> bool:
        """Return whether a slide needs no run: done, or failed and not to be retried, and nothing changed."""
        if state is None or state.key != self.key(slide, model_sha256):
            return False
        if state.state == DONE:
            return all((slide.folder / name).exists() for name in state.outputs) and _is_same(slide, state)
        lasts = state.state == FAILED and not state.passes and not self.retry_failed
        return lasts and _is_same(slide, state)


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a slide in a run.

    Attributes:
        slide: Slide.
        state: Its state now; None if another process runs it that has not said so yet.
        is_new: Whether this run brought it about.
    """

    slide: CohortSlide
    state: SlideState | None
    is_new: bool

    @property
    def is_busy(self) -> bool:
        """Whether another process works on the slide."""
        return self.state is None or self.state.state == RUNNING


class LostRunnerError(EnvironmentLacksError):
    """A runner has ended for good; its slide can be resumed by another."""


class Runner(Protocol):
    """Runs slides, one after the other, in this process or elsewhere."""

    def run(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Run a slide unless it is settled or another process works on it.

        Raises:
            LostRunnerError: The runner has ended, and the slide is to be run by another.
        """

    def stop(self) -> None:
        """Stop what runs, from another thread; it can be resumed."""


class SlideRunner:
    """Runs slides in this process.

    Args:
        job: What to do with each slide.
        backend: Model, ready to run.
        file: Its file.
        trace: Trace to which the time spent is added.
    """

    def __init__(
        self, job: CohortJob, backend: ModelBackend, file: ModelFile, trace: Trace | None = None
    ) -> None:
        self._job, self._backend, self._file, self._trace = job, backend, file, trace
        self._asked_sha256 = job.model.find().sha256

    def stop(self) -> None:
        """Do nothing: the thread that could call it is the one that runs."""

    def run(self, slide: CohortSlide, listener: Listener) -> Outcome:
        """Run a slide unless it is settled or another process works on it; keep what became of it.

        A KeyboardInterrupt leaves it resumable.
        """
        try:
            with explain_disk_errors(slide.folder), claim_slide(slide) as is_claimed:
                state = read_slide_state(slide)
                if not is_claimed:
                    return Outcome(slide=slide, state=state, is_new=False)
                if self._job.is_settled(slide, state, self._asked_sha256):
                    return Outcome(slide=slide, state=state, is_new=False)
                return Outcome(slide=slide, state=self._run(slide, listener), is_new=True)
        except Exception as error:  # the state itself cannot be written
            state = _fail(begin_state(slide, ""), error, 0.0)
            listener.fail(slide.path.name, state.reason)
            return Outcome(slide=slide, state=state, is_new=True)

    def _run(self, slide: CohortSlide, listener: Listener) -> SlideState:
        began = begin_state(slide, self._job.key(slide, self._asked_sha256))
        write_slide_state(slide, began)
        start = time.monotonic()
        try:
            result = self._infer(slide, listener)
            state = _finish(slide, began, result, time.monotonic() - start)
        except Exception as error:
            state = _fail(began, error, time.monotonic() - start)
            listener.fail(slide.path.name, state.reason)
        write_slide_state(slide, state)
        return state

    def _infer(self, slide: CohortSlide, listener: Listener) -> Result:
        name, warned = slide.path.name, set[str]()

        def warn(text: str) -> None:
            if text not in warned:
                warned.add(text)
                listener.warn(name, text)

        result = infer_slide(
            slide.path,
            self._backend,
            self._file,
            self._job.of_slide(slide),
            out=slide.folder,
            stem=slide.stem,
            advance=lambda done, total: listener.advance(name, done, total),
            warn=warn,
            trace=self._trace,
            overwrite=self._job.overwrite,
        )
        for text in result.warnings:
            warn(text)
        return result


def list_settled(job: CohortJob, slides: Sequence[CohortSlide]) -> list[Outcome]:
    """List the slides that need no run, with what became of them."""
    sha256 = job.model.find().sha256
    states = ((slide, read_slide_state(slide)) for slide in slides)
    return [
        Outcome(slide=slide, state=state, is_new=False)
        for slide, state in states
        if job.is_settled(slide, state, sha256)
    ]


@contextmanager
def open_slide_runner(job: CohortJob, say: Say, trace: Trace | None = None) -> Iterator[SlideRunner]:
    """Open the job's model in this process, ready to run slides."""
    with open_chosen(job.model, say) as (backend, file):
        yield SlideRunner(job, backend, file, trace)


def begin_state(slide: CohortSlide, key: str) -> SlideState:
    """Return the state of a slide that this process begins to run."""
    files: tuple[tuple[Path, int, int], ...] = ()
    if slide.path.is_file():
        files = read_state(list_slide_files(slide.path))
    return SlideState(
        slide=slide.path.name,
        state=RUNNING,
        key=key,
        files=tuple((path.name, size, time_ns) for path, size, time_ns in files),
        host=platform.node(),
        pid=os.getpid(),
        began=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        result={},
    )


def _finish(slide: CohortSlide, began: SlideState, result: Result, seconds: float) -> SlideState:
    paths = OutputPaths(slide.folder, slide.stem)
    figures: dict[str, Any] = {name: getattr(result, name) for name in FIGURES}
    figures["warnings"] = list(result.warnings)
    return replace(
        began,
        state=DONE,
        sha256=read_slide_hash(paths.record) or "",
        seconds=round(seconds, 1),
        result=figures,
        outputs=tuple(path.name for path in result.outputs),
    )


def _fail(began: SlideState, error: Exception, seconds: float) -> SlideState:
    if isinstance(error, MemoryError):
        error = EnvironmentLacksError("not enough memory. Free some, or give a smaller --batch or --max-ram.")
    code = error.exit_code if isinstance(error, GlandsegError) else GlandsegError.exit_code
    return replace(
        began,
        state=FAILED,
        seconds=round(seconds, 1),
        exit_code=code,
        reason=" ".join(explain(error).split()),
    )


def _is_same(slide: CohortSlide, state: SlideState) -> bool:
    """Return whether a slide has the content of a state: files of equal size and time, else of equal hash."""
    files = list_slide_files(slide.path)
    if tuple((path.name, size, time_ns) for path, size, time_ns in read_state(files)) == state.files:
        return True
    return bool(state.sha256) and hash_slide(files) == state.sha256
