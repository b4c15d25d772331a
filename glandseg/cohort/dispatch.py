"""Hand slides to runners: each slide to the runner that is free first."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Lock
from typing import Protocol

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import Listener, LostRunnerError, Outcome, Runner


class CohortListener(Listener, Protocol):
    """What a run of a cohort reports while it lasts; called from several threads, one at a time for `end`."""

    def end(self, outcome: Outcome) -> None:
        """Take what became of a slide."""


def run_cohort(
    slides: Sequence[CohortSlide], runners: Sequence[Runner], listener: CohortListener
) -> list[Outcome]:
    """Run slides, each at most once by all processes on all computers that share the folders.

    Slides that another process works on are looked at once more in the end: it may have stopped.

    Args:
        slides: Slides to run, in this order.
        runners: Runners; one alone works in this thread.
        listener: Called with what happens.

    Returns:
        What became of each slide.
    """
    outcomes = _run_all(slides, runners, listener)
    busy = [outcome.slide for outcome in outcomes if outcome.is_busy]
    settled = [outcome for outcome in outcomes if not outcome.is_busy]
    return settled + (_run_all(busy, runners, listener, is_last=True) if busy else [])


def _run_all(
    slides: Sequence[CohortSlide],
    runners: Sequence[Runner],
    listener: CohortListener,
    is_last: bool = False,
) -> list[Outcome]:
    """Run slides until none is left: those of a lost runner wait for the others, which may have ended before.

    Raises:
        LostRunnerError: All runners have ended, and slides are left.
    """
    dispatch = _Dispatch(slides, runners, listener, is_last)
    outcomes: list[Outcome] = []
    while dispatch.waiting:
        outcomes += dispatch.run()
    return outcomes


class _Dispatch:
    """Slides that wait, and the runners that are left."""

    def __init__(
        self,
        slides: Sequence[CohortSlide],
        runners: Sequence[Runner],
        listener: CohortListener,
        is_last: bool,
    ) -> None:
        self.waiting, self._runners = deque(slides), list(runners)
        self._listener, self._is_last, self._lock = listener, is_last, Lock()

    def run(self) -> list[Outcome]:
        """Run what waits, until each runner finds nothing more or is lost."""
        if not self._runners:
            raise LostRunnerError(
                f"all workers are lost, {len(self.waiting)} slides are left. "
                "Run the same command again to resume."
            )
        runners = [*self._runners]
        if len(runners) == 1:
            return list(self._work(runners[0]))
        with ThreadPoolExecutor(len(runners)) as pool:
            try:
                return list(chain.from_iterable(pool.map(lambda runner: list(self._work(runner)), runners)))
            except BaseException:
                self.waiting.clear()
                for runner in runners:
                    runner.stop()
                raise

    def _work(self, runner: Runner) -> Iterator[Outcome]:
        while True:
            try:
                slide = self.waiting.popleft()
            except IndexError:
                return
            try:
                outcome = runner.run(slide, self._listener)
            except LostRunnerError:
                self.waiting.append(slide)
                self._runners.remove(runner)
                return
            if self._is_last or not outcome.is_busy:
                with self._lock:
                    self._listener.end(outcome)
            yield outcome
