"""Slides handed to runners."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.dispatch import run_cohort
from glandseg.cohort.slide_runner import Listener, LostRunnerError, Outcome
from tests.cohort.cohort_folder import Reports

SLIDES = [CohortSlide.of_path(Path(f"{number}.svs")) for number in range(20)]
Act = Callable[[CohortSlide], Outcome]


class FakeRunner:
    """Notes the slides that it runs."""

    def __init__(self, act: Act | None = None) -> None:
        self.slides: list[CohortSlide] = []
        self.is_stopped = threading.Event()
        self._act = act

    def run(self, slide: CohortSlide, listener: Listener) -> Outcome:
        self.slides.append(slide)
        return self._act(slide) if self._act else finish(slide)

    def stop(self) -> None:
        self.is_stopped.set()


def finish(slide: CohortSlide) -> Outcome:
    outcome = Outcome(slide=slide, state=None, is_new=True)
    object.__setattr__(outcome, "state", _DONE)
    return outcome


class _Done:
    state = "done"


_DONE = _Done()


@pytest.mark.parametrize("count", [1, 3])
def test_each_slide_is_run_once(count: int) -> None:
    runners, reports = [FakeRunner() for _ in range(count)], Reports()
    outcomes = run_cohort(SLIDES, runners, reports)
    ran = [slide for runner in runners for slide in runner.slides]
    assert sorted(ran, key=SLIDES.index) == SLIDES
    assert (
        {outcome.slide for outcome in outcomes} == {outcome.slide for outcome in reports.ended} == {*SLIDES}
    )


def test_a_slide_that_is_busy_is_looked_at_once_more() -> None:
    looks: list[CohortSlide] = []

    def act(slide: CohortSlide) -> Outcome:
        looks.append(slide)
        is_busy = slide is SLIDES[1] and looks.count(slide) == 1
        return Outcome(slide=slide, state=None, is_new=False) if is_busy else finish(slide)

    reports = Reports()
    outcomes = run_cohort(SLIDES[:3], [FakeRunner(act)], reports)
    assert looks == [*SLIDES[:3], SLIDES[1]]
    assert not any(outcome.is_busy for outcome in outcomes)
    assert len(reports.ended) == 3


def test_an_error_of_one_runner_stops_the_others() -> None:
    slow = FakeRunner()

    def wait(slide: CohortSlide) -> Outcome:
        slow.is_stopped.wait(30)
        return finish(slide)

    def fail(slide: CohortSlide) -> Outcome:
        raise RuntimeError("no cluster")

    slow._act = wait
    with pytest.raises(RuntimeError, match="no cluster"):
        run_cohort(SLIDES, [FakeRunner(fail), slow], Reports())
    assert slow.is_stopped.is_set()
    assert len(slow.slides) < len(SLIDES)


def test_the_slide_of_a_lost_runner_goes_to_another() -> None:
    def lose(slide: CohortSlide) -> Outcome:
        raise LostRunnerError("lost")

    other, reports = FakeRunner(), Reports()
    run_cohort(SLIDES, [FakeRunner(lose), other], reports)
    assert {outcome.slide for outcome in reports.ended} == {*SLIDES}
    assert {*other.slides} == {*SLIDES}
    with pytest.raises(LostRunnerError, match="all workers are lost, 20 slides are left"):
        run_cohort(SLIDES, [FakeRunner(lose), FakeRunner(lose)], Reports())
