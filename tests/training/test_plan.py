"""The plan counts what is left, from steps that leave no trace in the training."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from torch import nn

from glandseg.core.errors import BadInputError
from glandseg.training import pace, train
from glandseg.training.data.examples import cut_tiles, read_examples
from glandseg.training.data.synthetic_examples import count_examples
from glandseg.training.demo import write_synthetic_data
from glandseg.training.loop.checkpoint import count_left, save_progress
from glandseg.training.loop.fit import Progress
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.loop.stopping import STOP, TrainingStopped
from glandseg.training.pace import Pace, Stopwatch, measure_pace
from glandseg.training.plan import align, count_own, write_duration
from glandseg.training.preparation import prepare
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.stages import Training

FIT = FitSettings(steps=4, batch=2, lr=2e-3, warmup=2, validate_every=2)
SETTINGS = TrainSettings(
    labels="outlines", curves=False, segmenter=SegmenterSettings(crop=32, width=8, synthetic=0.0, fit=FIT)
)


def make_progress(step: int, validation_s: float | None = None) -> Progress:
    scores = None if validation_s is None else {"miou": 50.0}
    return Progress(
        step=step, steps=40, loss=1, seconds_left=0, scores=scores, validation_s=validation_s or 0
    )


def test_a_plan_changes_nothing_and_a_finished_run_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiles, lines = write_synthetic_data(tmp_path / "tiles"), list[str]()
    for path in sorted(tiles.iterdir())[20:]:
        path.unlink()

    def run(name: str) -> list[str]:
        lines.clear()
        train.train(tiles, tmp_path / name, SETTINGS, report=lambda stage, progress: None, say=lines.append)
        return [line for line in lines if line.startswith(("precision", "plan", "segmenter  ", "in all"))]

    planned = run("planned")
    assert [line.split()[0] for line in planned] == ["precision", "plan", "segmenter", "in", "plan:"]
    assert planned[2].split()[1:5] == ["7", "images", "2", "4"] and planned[2].endswith("random")
    assert not list((tmp_path / "planned").glob("plan-*"))
    assert run("planned") == []
    monkeypatch.setattr(train, "announce_plan", lambda *_: None)
    assert run("unplanned") == []
    for name in ("segmenter.safetensors", "segmenter.csv"):
        assert (tmp_path / "planned" / name).read_bytes() == (tmp_path / "unplanned" / name).read_bytes()


def test_the_first_step_warms_up_and_validations_count_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pace, "MIN_STEPS", 5)
    monkeypatch.setattr(pace, "MIN_SECONDS", 10.0)
    monkeypatch.setattr(pace, "MAX_SECONDS", 100.0)
    now = iter([9.0, 16.0, 18.0, 25.0, 29.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    watch = Stopwatch(folder=tmp_path, _started=0.0, _last=0.0)
    for step, validation_s in ((1, None), (2, 5.0), (3, None), (4, 4.0)):
        watch.note("segmenter", make_progress(step, validation_s))
    assert not watch.is_done and not (tmp_path / STOP).exists()
    watch.note("segmenter", make_progress(5))
    assert watch.is_done and (tmp_path / STOP).exists()
    assert watch.read() == Pace(step_s=3.0, validation_s=4.0)


def test_a_slow_step_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "MIN_STEPS", 5)
    monkeypatch.setattr(time, "monotonic", lambda: 25.0)
    watch = Stopwatch(folder=tmp_path, _started=0.0, _last=0.0)
    watch.note("segmenter", make_progress(1))
    assert watch.is_done and watch.read() == Pace(step_s=25.0, validation_s=0.0)


def test_a_stop_meanwhile_is_not_taken_for_the_end(tmp_path: Path) -> None:
    training = Training(run=Run(tmp_path), settings=SETTINGS, report=lambda *_: None, say=lambda line: None)

    def stop(trial: Training) -> None:
        assert trial.run.path.parent == tmp_path and trial.settings.segmenter.fit.steps == 40
        raise TrainingStopped("segmenter: stopped as requested after step 1 of 40")

    with pytest.raises(TrainingStopped, match="plan: stopped as requested, before the training"):
        measure_pace(training, stop)
    assert list(tmp_path.iterdir()) == []


def test_steps_left_by_a_checkpoint(tmp_path: Path) -> None:
    path, network = tmp_path / "net.progress.safetensors", nn.Linear(1, 1)
    assert count_left(path, 10) == 10
    save_progress(path, network, torch.optim.SGD(network.parameters()), {"step": 7})
    assert (count_left(path, 10), count_left(path, 7), count_left(path, 5)) == (3, 0, 0)
    path.write_bytes(b"cut short")
    with pytest.raises(BadInputError, match="damaged, or of another run"):
        count_left(path, 10)


def test_columns_are_aligned() -> None:
    assert align([("plan", "on", "x"), ("in all", "", "")]) == ["plan    on  x", "in all"]


@pytest.mark.parametrize(
    ("seconds", "written"), [(0.2, "0 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (9360, "2.6 h")]
)
def test_durations(seconds: float, written: str) -> None:
    assert write_duration(seconds) == written


def test_synthetic_examples_are_a_share_of_all() -> None:
    assert [count_examples(85, share) for share in (0.0, 0.15, 0.5)] == [0, 15, 85]


@pytest.mark.parametrize("stride", [None, 40])
def test_the_images_or_tiles_of_stage_2_are_counted_without_reading_them(
    stride: int | None, tmp_path: Path
) -> None:
    stage = SegmenterSettings(crop=48, stride=stride, um_per_px=0.8, width=8)
    settings = TrainSettings(labels="outlines", um_per_px=0.62, segmenter=stage)
    prepared = prepare(write_synthetic_data(tmp_path), settings, lambda line: None)
    examples = read_examples(prepared.split.train, None, prepared.um_per_px, stage)
    assert count_own(prepared, stage) == len(cut_tiles(examples, stage.crop, stride))
