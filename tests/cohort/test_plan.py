"""What a cohort will take, before it is run."""

from __future__ import annotations

from pathlib import Path

from glandseg.cohort.plan import describe_total, weigh_cohort
from glandseg.cohort.slide_runner import open_slide_runner
from tests.cohort.cohort_folder import Reports, make_job, write_slides


def test_each_slide_is_weighed_and_nothing_is_written(tmp_path: Path, red_model: Path) -> None:
    slides = write_slides(tmp_path, ["a.tif", "b.tif", "c.tif"])
    slides[1].path.write_text("text", encoding="utf-8")
    job = make_job(red_model)
    with open_slide_runner(job, lambda text: None) as runner:
        runner.run(slides[2], Reports())
    before = sorted(tmp_path.rglob("*"))
    plans = list(weigh_cohort(job, slides, lambda text: None))
    assert sorted(tmp_path.rglob("*")) == before
    assert plans[0].preflight is not None
    assert plans[0].preflight.windows == plans[0].preflight.left == 4
    assert "would fail" in plans[1].note
    assert plans[2].note == "done before, nothing has changed"
    assert str(plans[0]).startswith(f"{slides[0].path}: 4 windows; about ")
    assert describe_total(plans).startswith("1 of 3 slides to run: 4 windows, about ")
