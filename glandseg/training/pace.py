"""The pace of a stage: a few steps of its real loop, timed and thrown away."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean

from glandseg.training.loop.fit import Progress
from glandseg.training.loop.processes import ask_first, is_first
from glandseg.training.loop.stopping import STOP, TrainingStopped
from glandseg.training.run import Run
from glandseg.training.settings import TrainSettings
from glandseg.training.stages import Training

MIN_STEPS, MAX_STEPS = 5, 38  # timed steps, the first of which warms up
MIN_SECONDS, MAX_SECONDS = 1.0, 20.0  # after which they end: with the minimum of steps, and without
VALIDATE_EVERY = 2  # steps


@dataclass(frozen=True, kw_only=True)
class Pace:
    """The pace of a stage.

    Attributes:
        step_s: Seconds of a step, drawing of its batch included.
        validation_s: Seconds of a validation.
    """

    step_s: float
    validation_s: float


@dataclass(kw_only=True)
class Stopwatch:
    """Times the steps of a fit, and ends it after enough of them.

    Attributes:
        folder: Run folder of the fit.
        steps_s: Seconds of each step without a validation, after which no checkpoint is saved.
        validation_s: Seconds of the last validation.
        is_done: Whether the fit was told to end.
    """

    folder: Path
    steps_s: list[float] = field(default_factory=list)
    validation_s: float = 0.0
    is_done: bool = False
    _started: float = field(default_factory=time.monotonic)
    _last: float = field(default_factory=time.monotonic)

    def note(self, stage: str, progress: Progress) -> None:
        """Note a step; the first one includes what precedes it."""
        now, count = time.monotonic(), progress.step
        if progress.scores is None:
            self.steps_s.append(now - self._last)
        else:
            self.validation_s = progress.validation_s
        self._last, total = now, now - self._started
        if total >= (MIN_SECONDS if count >= MIN_STEPS else MAX_SECONDS) or count >= MAX_STEPS:
            self.is_done = True
            (self.folder / STOP).touch()  # seen in the next step, which is the last

    def read(self) -> Pace:
        """Compute the pace, from all steps but the first where there are others."""
        return Pace(step_s=mean(self.steps_s[1:] or self.steps_s), validation_s=self.validation_s)


def measure_pace(training: Training, start: Callable[[Training], object]) -> Pace:
    """Time steps of a stage in a folder of its own, which is removed.

    The training is not changed: each stage seeds its random numbers itself.

    Args:
        training: Training, of which a stage is timed.
        start: Called with a stand-in for it; fits the stage.

    Raises:
        TrainingStopped: If a stop was requested meanwhile.
    """
    folder = Path(ask_first(lambda: tempfile.mkdtemp(prefix="plan-", dir=training.run.path)))
    watch = Stopwatch(folder=folder)
    settings = _allow_steps(training.settings)
    try:
        start(replace(training, run=Run(folder), settings=settings, report=watch.note, say=lambda line: None))
    except TrainingStopped:
        if not ask_first(lambda: watch.is_done):
            raise TrainingStopped("plan: stopped as requested, before the training") from None
    finally:
        if is_first():
            shutil.rmtree(folder, ignore_errors=True)
    return ask_first(watch.read)


def _allow_steps(settings: TrainSettings) -> TrainSettings:
    """Return settings of a fit that has more steps than are timed, so that it never finishes."""
    few = partial(replace, steps=MAX_STEPS + 2, epochs=None, validate_every=VALIDATE_EVERY, patience=0)
    classifier, segmenter = settings.classifier, settings.segmenter
    return replace(
        settings,
        tensorboard=False,
        classifier=replace(classifier, fit=few(classifier.fit)),
        segmenter=replace(segmenter, fit=few(segmenter.fit)),
    )
