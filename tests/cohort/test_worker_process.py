"""Workers in processes of their own: several at a time, none ends the others."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.dispatch import run_cohort
from glandseg.cohort.slide_state import DONE, FAILED, read_slide_state
from glandseg.cohort.worker_process import start_workers
from glandseg.core.errors import GlandsegError
from tests.cohort.cohort_folder import Reports, make_job, write_slides


def test_two_workers_run_each_slide_once(tmp_path: Path, red_model: Path) -> None:
    slides, reports, said = write_slides(tmp_path, [f"{n}.tif" for n in range(6)]), Reports(), list[str]()
    with start_workers([make_job(red_model)] * 2, said.append) as workers:
        outcomes = run_cohort(slides, workers, reports)
    states = [read_slide_state(slide) for slide in slides]
    assert all(outcome.is_new for outcome in outcomes)
    assert len(outcomes) == len(reports.ended) == 6
    assert [state.state for state in states if state] == [DONE] * 6
    assert os.getpid() not in {state.pid for state in states if state}
    assert said[0].startswith("model: ")
    assert {name for name, done, total in reports.windows if done == total} == {
        slide.path.name for slide in slides
    }


def test_a_failed_slide_is_reported_and_the_worker_goes_on(tmp_path: Path, red_model: Path) -> None:
    slides = write_slides(tmp_path, ["a.tif", "b.tif"])
    slides[0].path.write_text("text", encoding="utf-8")
    reports = Reports()
    with start_workers([make_job(red_model)], lambda text: None) as workers:
        outcomes = run_cohort(slides, workers, reports)
    assert [outcome.state.state for outcome in outcomes if outcome.state] == [FAILED, DONE]
    assert "holds no slide" in reports.failures[0]


@pytest.mark.skipif(os.name == "nt", reason="processes end otherwise there")
@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGKILL, 3, "was killed"), (signal.SIGSEGV, 4, "crashed")]
)
def test_a_slide_that_ends_its_worker_fails_alone(
    tmp_path: Path, red_model: Path, number: int, code: int, words: str
) -> None:
    slides, reports = (
        write_slides(tmp_path, ["a.tif", "b.tif", "c.tif"]),
        KillingReports(tmp_path, "b.tif", number),
    )
    with start_workers([make_job(red_model)], lambda text: None) as workers:
        run_cohort(slides, workers, reports)
    states = [read_slide_state(slide) for slide in slides]
    assert [state.state for state in states if state] == [DONE, FAILED, DONE]
    assert states[1] is not None
    assert states[1].exit_code == code
    assert words in states[1].reason


class KillingReports(Reports):
    """Sends a signal to the worker of a slide when that begins."""

    def __init__(self, folder: Path, slide: str, number: int) -> None:
        super().__init__()
        self._folder, self._slide, self._number = folder, slide, number

    def advance(self, slide: str, done: int, total: int) -> None:
        super().advance(slide, done, total)
        if slide == self._slide:
            state = read_slide_state(CohortSlide.of_path(self._folder / slide))
            assert state is not None
            os.kill(state.pid, self._number)


def test_a_worker_that_cannot_open_the_model_says_why(tmp_path: Path, red_model: Path) -> None:
    job = make_job(red_model)
    broken = replace(job, model=replace(job.model, path=tmp_path / "none.onnx"))
    with pytest.raises(GlandsegError, match="none.onnx"), start_workers([broken], lambda text: None):
        pass
