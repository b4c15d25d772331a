"""`glandseg train` composes its settings and says what stopped it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from glandseg.training.loop.stopping import TrainingStopped
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings

Run = Callable[..., Any]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[TrainSettings]:
    """Give the settings that training is asked for; it stops at once."""
    seen: list[TrainSettings] = []

    def stop(data: Path, folder: Path | None, settings: TrainSettings, **_: Any) -> None:
        seen.append(settings)
        raise TrainingStopped("segmenter: stopped as requested after step 3 of 9")

    monkeypatch.setattr("glandseg.training.train.train", stop)
    return seen


def test_preset_then_file_then_assignments(
    tmp_path: Path, asked: list[TrainSettings], run_command: Run
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text("segmenter: {loss: l_norm, crop: 64, width: 32}\n", encoding="utf-8")
    options = ["--preset", "feng", "--settings", path, "--set", "segmenter.crop=96"]
    run_command("train", tmp_path, *options, "--set", "segmenter.weights=hub", "--threads", 1)
    stage = asked[0].segmenter
    assert (stage.encoder, stage.loss, stage.crop, stage.width) == ("resnest200", "l_norm", 96, 32)
    assert (stage.weights, asked[0].classifier.weights) == ("hub", None)


def test_what_was_stopped_says_how_to_go_on(
    tmp_path: Path, asked: list[TrainSettings], run_command: Run
) -> None:
    outcome = run_command("train", tmp_path, "--threads", 1)
    edge = replace(TrainSettings(), segmenter=SegmenterSettings(core_um=5.0))
    assert outcome.code == 130 and asked == [edge]
    assert outcome.err[0].startswith(
        "segmenter: stopped as requested after step 3 of 9. To resume, repeat the command"
    )


def test_an_unknown_preset_is_bad_input(tmp_path: Path, run_command: Run) -> None:
    outcome = run_command("train", tmp_path, "--preset", "mine")
    assert outcome.code == 2
    known = "edge, feng, feng-224, feng-code, oeem, oeem-code"
    assert outcome.err == [f"error: --preset: one of {known}. Received: mine"]


@pytest.mark.parametrize(
    ("labels", "options", "expected"),
    [
        ("patches", [], "none"),
        ("outlines", [], "outlines"),
        ("patches", ["--labels", "outlines"], "outlines"),
        ("outlines", ["--labels", "none"], "none"),
    ],
)
def test_a_teacher_takes_the_place_of_patch_labels(
    tmp_path: Path,
    asked: list[TrainSettings],
    run_command: Run,
    labels: str,
    options: list[str],
    expected: str,
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"labels: {labels}\n", encoding="utf-8")
    run_command("train", tmp_path, "--teacher", "runs/big", "--settings", path, *options, "--threads", 1)
    assert (asked[0].teacher, asked[0].labels) == ("runs/big", expected)


def test_a_teacher_that_is_missing_is_bad_input(tmp_path: Path, run_command: Run) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    for options, part in (
        (["--teacher", tmp_path / "none.onnx", "--labels", "patches"], "a teacher takes their place"),
        (["--labels", "none"], "Give --teacher"),
    ):
        outcome = run_command("train", tmp_path, *options, "--out", tmp_path / "run", "--threads", 1)
        assert outcome.code == 2 and len(outcome.err) == 1 and part in outcome.err[0]
        assert not (tmp_path / "run").exists()


def test_it_says_what_was_scored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: Run) -> None:
    class Finished:
        path = tmp_path
        record: ClassVar = {"scores": {"val, the teacher's masks for truth": {"miou": 81.26, "f1": 90.0}}}

    monkeypatch.setattr("glandseg.training.train.train", lambda *_, **__: Finished())
    outcome = run_command("train", tmp_path, "--threads", 1)
    assert outcome.out[0].endswith("mIoU 81.3 %, F1 90.0 % on val, the teacher's masks for truth")
