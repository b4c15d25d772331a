"""A recorded result holds what `glandseg evaluate` finds, and where it is from."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from benchmarks import record_result
from benchmarks.results_ledger import provenance
from benchmarks.results_ledger.provenance import find_commit, hash_samples
from benchmarks.results_ledger.reading import read_results
from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.training.data.datasets import find_samples
from glandseg.training.factory import build_segmenter
from glandseg.training.loop.checkpoint import save_network
from glandseg.training.run import SEGMENTER, Run
from glandseg.training.settings_file import override_settings, read_preset, write_settings
from tests.conftest import RunCommand

COMMIT = "c" * 40


@pytest.fixture(autouse=True)
def committed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_result, "find_commit", lambda: COMMIT)


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    folder = tmp_path / "glas"
    folder.mkdir()
    rows = ["name,patient ID, grade (GlaS), grade (other)"]
    for index, name in enumerate(("train_1", "testA_1", "testA_2")):
        truth = np.zeros((100, 140), np.uint8)
        truth[20:60, 20:60], truth[20:60, 80:120] = 1, 2
        image = np.zeros((100, 140, 3), np.uint8)
        image[..., 2] = 255 * (np.roll(truth, index, 1) > 0)
        for ending, pixels in (("", image), ("_anno", truth)):
            cv2.imencode(".png", pixels)[1].tofile(folder / f"{name}{ending}.png")
        rows.append(f"{name},{index}, {'malignant' if index == 2 else 'benign'}, none")
    (folder / "Grade.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def make_run(folder: Path, *, seen: str) -> Path:
    """A finished run whose network was not trained."""
    settings = override_settings(read_preset("edge"), ["segmenter.fit.seed=7", "labels=outlines"])
    folder.mkdir()
    write_settings(folder / "settings.yaml", settings)
    torch.manual_seed(0)
    save_network(folder / SEGMENTER, build_segmenter(settings))
    (folder / "split.csv").write_text(f"name,group,part\n{seen},1,train\n", encoding="utf-8")
    Run(folder).write_record(data="glas", um_per_px=0.62, images={"train": 1, "val": 0, "test": 2})
    return folder


def record(row: str, run: Path, glas: Path, out: Path, part: str = "testA", *options: str) -> None:
    out.mkdir(exist_ok=True)
    arguments = [row, str(run), "--data", str(glas), "--part", part, "--out", str(out), "--threads", "1"]
    record_result.main([*arguments, *options])


def test_a_model_file_is_scored_as_evaluate_does(
    glas: Path, red_model: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    record("bundled-on-glas", red_model, glas, tmp_path / "out", "testA", "--flips", "--scales", "1,1.25")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["bundled-on-glas.json"]
    (result,) = read_results(tmp_path / "out")
    options = ("--part", "testA", "--flips", "--scales", "1,1.25", "--out", tmp_path / "table.md")
    assert run_command("evaluate", glas, red_model, *options).code == 0
    (evaluated,) = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["models"]
    assert result.scores == evaluated["scores"]["testA"]
    assert result.scores["object_f1"] == 100 and result.scores["gland_iou"] < 100
    assert {grade: scores["images"] for grade, scores in result.groups.items()} == {
        "benign": 1,
        "malignant": 1,
    }
    assert result.groups["benign"]["miou"] > result.groups["malignant"]["miou"]
    assert (result.seed, result.training, result.seconds["training"], result.commit) == (
        None,
        None,
        None,
        COMMIT,
    )
    assert result.model["sha256"] == hash_file(red_model) and result.inference["scales"] == [1.0, 1.25]
    assert result.command == (
        "python benchmarks/record_result.py bundled-on-glas red.onnx --data GLAS --part testA "
        "--scales 1,1.25 --flips"
    )


def test_a_run_tells_its_training(glas: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", seen="train_1")
    record("glas-outlines", run, glas, tmp_path / "out")
    (result,) = read_results(tmp_path / "out")
    assert result.seed == 7 and result.training
    assert result.training["seeds"] == {"classifier": 0, "segmenter": 7, "split": 0}
    assert result.training["command"] == (
        "glandseg train GLAS --preset edge --set labels=outlines --set segmenter.fit.seed=7"
    )
    assert result.training["split_sha256"] == hash_file(run / "split.csv")
    assert result.data["images"] == 2 and set(result.versions) >= {
        "glandseg",
        "torch",
        "onnxruntime",
        "numpy",
    }
    assert str(tmp_path) not in (tmp_path / "out" / "glas-outlines.seed-7.json").read_text(encoding="utf-8")


def test_images_that_a_run_learned_from_are_refused(
    glas: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(tmp_path / "run", seen="testA_1")
    with pytest.raises(SystemExit) as stop:
        record("glas-outlines", run, glas, tmp_path / "out")
    assert stop.value.code == 2
    assert "was trained or validated on 1 of these 2 images" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    ("row", "part", "message"),
    [
        ("no-row", "testA", "no-row: no row of results/tables.yaml"),
        ("glas-outlines", "train", "glas-outlines: is of glas testA. Received: glas train"),
        ("ebhi-outlines", "test", "ebhi-outlines: is of ebhi test. Received: glas test"),
    ],
)
def test_a_row_of_other_data_is_refused(
    row: str,
    part: str,
    message: str,
    glas: Path,
    red_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit):
        record(row, red_model, glas, tmp_path / "out", part)
    assert message in capsys.readouterr().err


def test_the_hash_is_of_names_images_and_masks(glas: Path) -> None:
    samples = find_samples(glas).samples
    first = hash_samples(samples)
    assert hash_samples(samples[::-1]) == first
    assert hash_samples(samples[1:]) != first
    mask = next(sample.mask_path for sample in samples if sample.name == "testA_1")
    assert mask
    mask.write_bytes(mask.read_bytes() + b"\0")
    assert hash_samples(samples) != first


def test_code_that_is_not_committed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = {"rev-parse": COMMIT, "status": ""}
    monkeypatch.setattr(provenance, "ask_git", lambda *question: answers[question[0]])
    assert find_commit() == COMMIT
    answers["status"] = " M glandseg/cli/main.py\n?? glandseg/new.py"
    with pytest.raises(BadInputError, match="2 files are not committed"):
        find_commit()
    answers["rev-parse"] = ""
    with pytest.raises(EnvironmentLacksError, match="does not run from this git checkout"):
        find_commit()
