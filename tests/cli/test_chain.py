"""The three commands, each taking what the one before it left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.synthetic import draw_tile, write_slide

SHORT = (
    "classifier.fit.steps=3",
    "classifier.fit.batch=4",
    "classifier.fit.validate_every=3",
    "segmenter.fit.steps=3",
    "segmenter.fit.batch=2",
    "segmenter.fit.validate_every=3",
    "segmenter.crop=64",
    "segmenter.width=8",
)


@pytest.mark.slow
def test_train_export_infer_chain(
    run_command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    trained = run_command(
        "train", "--demo", "--threads", "1", *[word for key in SHORT for word in ("--set", key)]
    )
    assert trained.code == 0, trained.err
    (run,) = [path.parent for path in Path("runs").glob("*/segmenter.safetensors")]
    assert len(list((run / "pseudo_masks").glob("*.png"))) > 20
    assert any(f"glandseg export {run} --fp16" in line for line in trained.out)

    exported = run_command("export", "--fp16")
    assert exported.code == 0, exported.err
    assert exported.out[0] == f"run: {run} (newest)"
    model = Path("models") / run.name / f"{run.name}.onnx"
    record = json.loads(model.with_suffix(".json").read_text(encoding="utf-8"))
    assert set(record["files"]) == {f"{run.name}.onnx", f"{run.name}.fp16.onnx"}

    write_slide(Path("slide.tif"), draw_tile(700, 0.5, 0, "glands")[0], 0.5)
    inferred = run_command("infer", "slide.tif")
    assert inferred.code == 0, inferred.err
    assert any(f"{run.name} (newest export)" in line for line in inferred.out)
    assert (
        json.loads(Path("slide.run.json").read_text(encoding="utf-8"))["model"]["origin"] == "newest export"
    )


def test_train_without_data_says_what_it_wants(run_command: Callable[..., Any]) -> None:
    outcome = run_command("train")
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert "patches.csv" in outcome.err[0]
    assert "--demo" in outcome.err[0]


def test_export_without_a_run_says_how_to_make_one(
    run_command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = run_command("export")
    assert outcome.code == 2
    assert len(outcome.err) == 1
    assert "glandseg train" in outcome.err[0]
