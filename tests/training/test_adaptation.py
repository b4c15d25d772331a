"""A run is fine-tuned on fractions of other data, scored on its test images, and resumed where it was."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.synthetic import draw_tile
from glandseg.training.adaptation import STEPS, Adaptation, adapt, drop_weights, plan_fine_tuning
from glandseg.training.adaptation_report import NAMES, write_report
from glandseg.training.data.datasets import GLAS_UM_PER_PX
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.train import train

FIT = FitSettings(steps=2, batch=2, lr=1e-3, warmup=0, precision="float32", validate_every=2)
SMALL = TrainSettings(
    labels="outlines", segmenter=SegmenterSettings(crop=64, width=8, output_stride=16, synthetic=0.0, fit=FIT)
)
TILE = 96


def draw_tiles(folder: Path, count: int, prefix: str) -> Path:
    """Return a folder of small synthetic tiles."""
    folder.mkdir(parents=True)
    for index in range(count):
        image, truth = draw_tile(TILE, GLAS_UM_PER_PX, index, "glands")
        for ending, pixels in (("", image[..., ::-1]), ("_anno", truth.astype(np.uint8))):
            cv2.imencode(".png", pixels)[1].tofile(folder / f"{prefix}_{index}{ending}.png")
    return folder


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_tiles(tmp_path_factory.mktemp("other") / "tiles", 14, "other")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("source")
    tiles = draw_tiles(folder / "tiles", 5, "own")
    return train(tiles, folder / "run", SMALL, report=lambda stage, progress: None, say=lambda line: None)


def fine_tune(source: Run, steps: int = 1) -> TrainSettings:
    return override_settings(plan_fine_tuning(source), [f"segmenter.fit.steps={steps}"])


def adapt_twice(source: Run, other: Path, folder: Path, lines: list[str]) -> Adaptation:
    return adapt(
        source, other, folder, fine_tune(source), fractions=(0.1, 0.5), seeds=range(2), say=lines.append
    )


def test_plan_takes_few_small_steps_from_the_source(source: Run) -> None:
    plan = plan_fine_tuning(source)
    assert plan.start_from == source.path.as_posix() and (plan.labels, plan.teacher) == ("outlines", None)
    assert plan.segmenter.fit.steps == STEPS and plan.segmenter.fit.lr == pytest.approx(2e-4)
    assert plan.segmenter.width == 8 and plan.um_per_px is None


def test_fractions_seeds_scores_and_report(source: Run, other: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    result = adapt_twice(source, other, tmp_path / "out", lines)
    assert [(run.fraction, run.seed, run.images) for run in result.runs] == [
        (0.5, 0, 5),
        (0.5, 1, 5),
        (0.1, 0, 1),
        (0.1, 1, 1),
    ]
    assert result.sha256 == hash_file(source.segmenter_path) and result.data == "glas"
    tests = [set(_read_part(Run(run.path), "test")) for run in result.runs]
    learned = [set(_read_part(Run(run.path), "train")) for run in result.runs]
    assert all(test == tests[0] and len(test) == 3 for test in tests)
    assert learned[0] != learned[1] and learned[2] < learned[0]
    assert {"miou", "object_f1", "object_hausdorff_px"} <= set(result.before) == set(result.runs[0].scores)
    _check_report(tmp_path / "out", result)
    again: list[str] = []
    kept = (tmp_path / "out" / "10-percent-seed-1" / "run.json").read_bytes()
    assert adapt_twice(source, other, tmp_path / "out", again) == result
    assert len(again) == 4 and all("finished already" in line for line in again)
    assert (tmp_path / "out" / "10-percent-seed-1" / "run.json").read_bytes() == kept


def _read_part(run: Run, part: str) -> list[str]:
    with (run.path / "split.csv").open(newline="", encoding="utf-8") as file:
        return [row["name"] for row in csv.DictReader(file) if row["part"] == part]


def _check_report(folder: Path, result: Adaptation) -> None:
    table, text, plot, facts = write_report(folder, result)
    assert tuple(path.name for path in (table, text, plot, facts)) == NAMES
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 4 and float(rows[3]["miou"]) == result.runs[3].scores["miou"]
    lines = text.read_text(encoding="utf-8").splitlines()
    assert [line.split(" | ")[0] for line in lines[2:]] == ["| none, before", "| 50 %", "| 10 %"]
    assert "±" in lines[3] and np.asarray(cv2.imread(str(plot))).std() > 10
    assert json.loads(facts.read_text(encoding="utf-8"))["runs"][0]["fraction"] == 0.5


def test_interrupted_between_runs_resumes(source: Run, other: Path, tmp_path: Path) -> None:
    settings = fine_tune(source)

    def stop(fraction: float, seed: int, progress: object) -> None:
        if seed == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        adapt(source, other, tmp_path, settings, fractions=(0.1,), seeds=range(2), report=stop)
    reported: list[int] = []
    result = adapt(
        source,
        other,
        tmp_path,
        settings,
        fractions=(0.1,),
        seeds=range(2),
        report=lambda fraction, seed, progress: reported.append(seed),
    )
    assert set(reported) <= {1} and len(result.runs) == 2


def test_other_data_or_settings_in_the_folder_are_refused(source: Run, other: Path, tmp_path: Path) -> None:
    settings = fine_tune(source)
    adapt(source, other, tmp_path / "out", settings, fractions=(0.1,), seeds=(0,))
    elsewhere = draw_tiles(tmp_path / "elsewhere", 6, "elsewhere")
    with pytest.raises(BadInputError, match="begun on other data"):
        adapt(source, elsewhere, tmp_path / "out", settings, fractions=(0.1,), seeds=(0,))
    with pytest.raises(BadInputError, match="holds a run with other settings"):
        adapt(source, other, tmp_path / "out", fine_tune(source, 2), fractions=(0.1,), seeds=(0,))
    no_test = replace(settings, shares=(0.5, 0.5, 0.0))
    with pytest.raises(BadInputError, match="no image falls to the test"):
        adapt(source, other, tmp_path / "no-test", no_test, fractions=(0.1,), seeds=(0,))


def test_outlines_need_no_pretrained_weights() -> None:
    settings = TrainSettings(encoder="resnet38", weights="gone.pth")
    bare = drop_weights(replace(settings, segmenter=replace(settings.segmenter, weights="gone too.pth")))
    assert bare == replace(settings, weights=None)
