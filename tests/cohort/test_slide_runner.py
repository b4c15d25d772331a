"""Slides of a cohort: which are run, and what is kept of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from glandseg.cohort.cohort_slide import CohortSlide
from glandseg.cohort.slide_runner import CohortJob, Outcome, list_settled, open_slide_runner
from glandseg.cohort.slide_state import (
    DONE,
    FAILED,
    RUNNING,
    SlideState,
    claim_slide,
    read_slide_state,
    write_slide_state,
)
from glandseg.core.errors import EnvironmentLacksError
from tests.cohort.cohort_folder import Reports, make_job, write_slides


@pytest.fixture
def slide(tmp_path: Path) -> CohortSlide:
    return write_slides(tmp_path, ["a.tif"])[0]


def run(job: CohortJob, slide: CohortSlide, reports: Reports | None = None) -> Outcome:
    with open_slide_runner(job, lambda text: None) as runner:
        return runner.run(slide, reports or Reports())


def read_known(slide: CohortSlide) -> SlideState:
    state = read_slide_state(slide)
    assert state is not None
    return state


def test_a_slide_is_run_and_its_state_is_kept(slide: CohortSlide, red_model: Path) -> None:
    reports = Reports()
    outcome = run(make_job(red_model), slide, reports)
    state = read_known(slide)
    assert (outcome.state, outcome.is_new, state.state, state.exit_code) == (state, True, DONE, 0)
    assert state.result["glands"] == 1
    assert all((slide.folder / name).is_file() for name in state.outputs)
    assert (state.pid, len(state.sha256)) == (os.getpid(), 64)
    assert reports.windows[-1][:1] == ("a.tif",)
    assert reports.windows[-1][1] == reports.windows[-1][2]


def test_a_slide_that_is_done_is_not_run_again(slide: CohortSlide, red_model: Path) -> None:
    job = make_job(red_model)
    first = run(job, slide)
    again = run(job, slide)
    assert (again.state, again.is_new) == (first.state, False)
    assert [outcome.slide for outcome in list_settled(job, [slide])] == [slide]


def test_a_copy_of_equal_content_and_later_date_is_not_run_again(slide: CohortSlide, red_model: Path) -> None:
    run(make_job(red_model), slide)
    os.utime(slide.path, (1e9, 1e9))
    assert not run(make_job(red_model), slide).is_new


@pytest.mark.parametrize("change", ["settings", "content", "outputs", "mpp", "write"])
def test_what_has_changed_is_run_again(slide: CohortSlide, red_model: Path, change: str) -> None:
    run(make_job(red_model), slide)
    job = make_job(red_model)
    if change == "settings":
        job = make_job(red_model, threshold=0.4)
    elif change == "write":
        job = make_job(red_model, write=("geojson",))
    elif change == "mpp":
        slide = replace(slide, mpp=1.3)
    elif change == "outputs":
        (slide.folder / "a.glands.csv").unlink()
    else:
        write_slides(slide.folder, ["b.tif", "a.tif"])
        job = replace(job, overwrite=True)
    assert run(job, slide).is_new


def test_batch_and_memory_do_not_count_as_changes(slide: CohortSlide, red_model: Path) -> None:
    run(make_job(red_model), slide)
    assert not run(make_job(red_model, batch=2, max_ram_gib=1.0), slide).is_new


def test_a_bad_slide_fails_and_is_left_until_it_is_retried(tmp_path: Path, red_model: Path) -> None:
    (tmp_path / "bad.svs").write_text("text", encoding="utf-8")
    slide, reports = CohortSlide.of_path(tmp_path / "bad.svs"), Reports()
    outcome = run(make_job(red_model), slide, reports)
    assert outcome.state is not None
    assert (outcome.state.state, outcome.state.exit_code) == (FAILED, 2)
    assert "holds no slide" in outcome.state.reason
    assert len(reports.failures) == 1
    assert not run(make_job(red_model), slide, reports).is_new
    assert run(make_job(red_model, retry_failed=True), slide, reports).is_new
    (tmp_path / "bad.svs").write_text("another text", encoding="utf-8")
    assert run(make_job(red_model), slide, reports).is_new


def test_a_failure_of_the_machine_is_run_again(
    slide: CohortSlide, red_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise EnvironmentLacksError("the disk is full")

    monkeypatch.setattr("glandseg.cohort.slide_runner.infer_slide", fail)
    assert run(make_job(red_model), slide).state == read_slide_state(slide)
    assert read_known(slide).reason == "the disk is full"
    monkeypatch.undo()
    assert run(make_job(red_model), slide).is_new
    assert read_known(slide).state == DONE


def test_an_unexpected_error_is_kept_in_a_line(
    slide: CohortSlide, red_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **options: object) -> None:
        raise ValueError("of two\nlines")

    monkeypatch.setattr("glandseg.cohort.slide_runner.infer_slide", fail)
    outcome = run(make_job(red_model), slide)
    assert outcome.state is not None
    assert (outcome.state.exit_code, outcome.state.reason) == (4, "ValueError: of two lines")


def test_ctrl_c_leaves_the_slide_to_be_resumed(
    slide: CohortSlide, red_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glandseg.cohort.slide_runner.infer_slide", stop)
    with pytest.raises(KeyboardInterrupt):
        run(make_job(red_model), slide)
    assert read_known(slide).state == RUNNING
    monkeypatch.undo()
    assert run(make_job(red_model), slide).is_new


def test_a_slide_that_another_process_works_on_is_left_to_it(slide: CohortSlide, red_model: Path) -> None:
    with claim_slide(slide) as is_claimed:
        assert is_claimed
        outcome = run(make_job(red_model), slide)
    assert (outcome.is_busy, outcome.is_new) == (True, False)
    assert run(make_job(red_model), slide).is_new


def test_a_folder_that_cannot_be_written_fails_the_slide_alone(tmp_path: Path, red_model: Path) -> None:
    slide = write_slides(tmp_path / "in", ["a.tif"])[0]
    (tmp_path / "out").write_text("a file", encoding="utf-8")
    reports = Reports()
    outcome = run(make_job(red_model), replace(slide, folder=tmp_path / "out"), reports)
    assert outcome.state is not None
    assert (outcome.state.state, outcome.state.exit_code) == (FAILED, 3)
    assert len(reports.failures) == 1


def test_a_damaged_state_counts_as_none(slide: CohortSlide, red_model: Path) -> None:
    run(make_job(red_model), slide)
    path = slide.folder / ".glandseg" / "a" / "state.json"
    path.write_text(json.dumps({"state": "done"}), encoding="utf-8")
    assert read_slide_state(slide) is None
    assert run(make_job(red_model), slide).is_new


def test_a_state_reads_back_as_it_was_written(slide: CohortSlide, red_model: Path) -> None:
    state = run(make_job(red_model), slide).state
    assert state is not None
    with claim_slide(slide):
        write_slide_state(slide, replace(state, reason="café | <b>"))
    assert read_known(slide) == replace(state, reason="café | <b>")
    assert time.strptime(state.began[:19], "%Y-%m-%dT%H:%M:%S")
