"""`glandseg evaluate` from files to table, JSON and sheet; its refusals write nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glandseg.core.system import hash_file
from glandseg.model.card import ModelCard

RunCommand = Callable[..., Any]
WriteModel = Callable[[Path, Mapping[str, str]], Path]
CARD = ModelCard(name="red", network="one slice", tissue="drawings", um_per_px=0.62, weights_sha256="")


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    folder = tmp_path / "glas"
    folder.mkdir()
    names = [f"{part}_{index}" for part in ("train", "testA", "testB") for index in (1, 2)]
    for index, name in enumerate(names):
        truth = np.zeros((100, 140), np.uint8)
        truth[20:60, 20:60], truth[20:60, 80:120] = 1, 2
        image = np.zeros((100, 140, 3), np.uint8)
        image[..., 2], image[0, 0, 1] = 255 * (np.roll(truth, index, 1) > 0), index
        for ending, pixels in (("", image), ("_anno", truth)):
            cv2.imencode(".png", pixels)[1].tofile(folder / f"{name}{ending}.png")
    return folder


@pytest.fixture
def models(tmp_path: Path, write_model: WriteModel) -> list[Path]:
    """Four models that are the same but for their um/px."""
    cards = [replace(CARD, um_per_px=um) for um in (0.62, 0.63, 1.2, 1.3)]
    return [write_model(tmp_path / f"m{i}.onnx", card.to_metadata()) for i, card in enumerate(cards)]


def test_one_model_on_both_test_parts(glas: Path, models: list[Path], run_command: RunCommand) -> None:
    outcome = run_command("evaluate", glas, models[0])
    assert outcome.code == 0
    rows = [line.split(" | ")[:3] for line in outcome.out if line.startswith("| m0")]
    assert rows == [["| m0", "testA", "2"], ["| m0", "testB", "2"], ["| m0", "testA+testB", "4"]]
    assert "object Hausdorff px" in outcome.out[0]


def test_two_groups_with_everything_written(
    glas: Path, models: list[Path], tmp_path: Path, run_command: RunCommand
) -> None:
    out = tmp_path / "results" / "scores.md"
    against = [word for path in models[2:] for word in ("--against", path)]
    outcome = run_command(
        "evaluate",
        glas,
        *models[:2],
        *against,
        "--part",
        "testA",
        "--worst",
        1,
        "--out",
        out,
        "--scales",
        "1,1.5",
    )
    assert outcome.code == 0, outcome.err
    text = out.read_text(encoding="utf-8")
    assert text.splitlines() == outcome.out[: len(text.splitlines())] and "| p-value | testA | 2 |" in text
    facts = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert [model["group"] for model in facts["models"]] == ["models"] * 2 + ["against"] * 2
    assert [model["sha256"] for model in facts["models"]] == [hash_file(path) for path in models]
    assert facts["models"][0]["scales"] == [1.0, 1.5]
    assert facts["worst"]["m0"] == ["testA_2"]  # shifted the most
    sheets = sorted(path.name for path in out.parent.glob("*.png"))
    assert sheets == [f"scores.worst{index}.png" for index in (1, 2, 3, 4)]


def test_adaptive_scales_and_flips_are_run_and_recorded(
    glas: Path, models: list[Path], tmp_path: Path, run_command: RunCommand
) -> None:
    out = tmp_path / "scores.md"
    words = ("evaluate", glas, models[0], "--part", "testA", "--scales", "adaptive", "--flips", "--out", out)
    outcome = run_command(*words)
    assert outcome.code == 0, outcome.err
    assert "Run with --scales adaptive --flips." in outcome.out
    facts = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert facts["settings"] == {
        "adaptive": True,
        "flips": True,
        "threshold": 0.5,
        "min_gland_um2": 400.0,
        "min_lumen_um2": 100.0,
    }
    assert facts["models"][0]["scales"][:3] == [1.25, 1.75, 0.75] and len(facts["models"][0]["scales"]) == 8


def test_models_of_one_name_go_by_their_paths(
    glas: Path, models: list[Path], run_command: RunCommand
) -> None:
    twin = glas / "elsewhere" / "m0.onnx"
    twin.parent.mkdir()
    shutil.copyfile(models[0], twin)
    outcome = run_command("evaluate", glas, models[0], twin, "--part", "testA", "--limit", 1)
    assert outcome.code == 0, outcome.err
    assert any(line.startswith(f"| {twin.as_posix()} |") for line in outcome.out)
    assert any(line.startswith("| models: mean±std of 2 | testA | 1 |") for line in outcome.out)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--part", "testC"], "--part testC: this data set has all, test, testA, testB, train, val."),
        (["--worst", "3"], "--worst: the sheet is written beside --out"),
        (["--against", "x.onnx"], "--against: a t-test needs at least two models per group"),
        (["--scales", "0"], "--scales: within"),
        (["--scales", "often"], "--scales: numbers separated by commas, such as 0.75,1,1.5, or adaptive."),
    ],
)
def test_refusals(
    glas: Path, models: list[Path], run_command: RunCommand, words: list[str], message: str
) -> None:
    outcome = run_command("evaluate", glas, models[0], *words)
    assert outcome.code == 2 and len(outcome.err) == 1 and message in outcome.err[0]


def test_the_same_model_twice_is_refused(glas: Path, models: list[Path], run_command: RunCommand) -> None:
    outcome = run_command("evaluate", glas, models[0], models[0])
    assert outcome.code == 2 and "may be named once" in outcome.err[0]


def test_a_folder_that_is_no_run_is_refused(glas: Path, run_command: RunCommand) -> None:
    outcome = run_command("evaluate", glas, glas)
    assert outcome.code == 2 and "not a run folder" in outcome.err[0]
