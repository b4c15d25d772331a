"""What a training does with the data it is given: published parts, corrupt images, leakage."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.synthetic import draw_tile
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.examples import choose_validation, read_examples
from glandseg.training.data.published_splits import split_data_set
from glandseg.training.evaluation.scored_model import open_model
from glandseg.training.factory import load_segmenter
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run
from glandseg.training.segmenter import score_segmenter
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.train import train

FIT = FitSettings(steps=1, batch=2, warmup=0, precision="float32", validate_every=1)
SMALL = TrainSettings(
    labels="outlines",
    classifier=ClassifierSettings(input=32, output_stride=16, fit=FIT),
    segmenter=SegmenterSettings(crop=32, width=4, output_stride=16, fit=FIT),
)
PATIENTS = {"train_1": 1, "train_2": 1, "train_3": 2, "train_4": 3, "testA_1": 1, "testA_2": 4, "testB_1": 5}


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    """Return a small GlaS: seven synthetic images of five patients, of whom one is in training and test."""
    folder = tmp_path / "glas"
    folder.mkdir()
    for index, name in enumerate(PATIENTS):
        image, truth = draw_tile(64, 0.62, index, "glands")
        cv2.imencode(".png", image[..., ::-1])[1].tofile(folder / f"{name}.png")
        cv2.imencode(".png", truth.astype(np.uint8))[1].tofile(folder / f"{name}_anno.png")
    rows = [f"{name}, {patient}" for name, patient in PATIENTS.items()]
    (folder / "Grade.csv").write_text("\n".join(["name,patient ID", *rows]))
    return folder


def run(data: Path, folder: Path, *changes: str) -> tuple[Run, list[str]]:
    said: list[str] = []
    settings = override_settings(SMALL, changes)
    return train(data, folder, settings, report=lambda stage, progress: None, say=said.append), said


def read_parts(run: Run) -> dict[str, str]:
    with (run.path / "split.csv").open(newline="", encoding="utf-8") as file:
        return {row["name"]: row["part"] for row in csv.DictReader(file)}


def test_published_test_images_stay_test_images(glas: Path, tmp_path: Path) -> None:
    done, said = run(glas, tmp_path / "run")
    parts = read_parts(done)
    assert {name for name, part in parts.items() if part == "test"} == {"testA_1", "testA_2", "testB_1"}
    assert parts["train_1"] == parts["train_2"]
    note = "1 of the published test's 3 patients are in its training part too"
    assert f"note: {note}" in said and done.record["note"] == note


@pytest.mark.parametrize("labels", ["outlines", "patches"])
def test_the_split_without_validation_images(glas: Path, tmp_path: Path, labels: str) -> None:
    done, said = run(glas, tmp_path / "run", "split=oeem", f"labels={labels}")
    assert done.record["images"] == {"train": 4, "val": 0, "test": 3}
    assert any("without validation images" in line for line in said)
    train = [sample for sample in find_samples(glas).samples if sample.part == "train"]
    truth = read_examples(train, done if labels == "patches" else None, 0.62, SMALL.segmenter)
    truth_name = "train, the pseudo masks for truth" if labels == "patches" else "val"
    assert done.record["scores"] == {truth_name: score_segmenter(load_segmenter(done), truth, "float32")}
    assert any("chosen by the pseudo masks" in line for line in said) is (labels == "patches")


@pytest.mark.parametrize("split", ["auto", "feng"])
def test_validation_images_are_judged_by_their_outlines(glas: Path, split: str) -> None:
    parts = split_data_set(find_samples(glas), split)
    chosen, has_outlines = choose_validation(parts, "patches", lambda line: None)
    assert chosen == parts.val and has_outlines


def test_a_run_is_evaluated_at_the_scales_of_its_settings(glas: Path, tmp_path: Path) -> None:
    done, _ = run(glas, tmp_path / "run", "segmenter.scales=[1, 1.5]")
    with open_model(done.path) as model:
        assert model.scales == (1.0, 1.5)


def test_epochs_count_tiles(glas: Path, tmp_path: Path) -> None:
    done, _ = run(
        glas, tmp_path / "run", "segmenter={crop: 32, stride: 16}", "segmenter.fit.epochs=2", "split=oeem"
    )
    rows = (done.path / "segmenter.csv").read_text("utf-8").splitlines()
    tiles = 4 * 3**2  # four images of 64 px: tiles at 0, 16 and 32
    assert rows[-1].partition(",")[0] == str(round(2 * tiles / (1 - 0.15) / 2))  # with 15 % synthetic tissue


def test_corrupt_images_stop_a_training_or_are_skipped(glas: Path, tmp_path: Path) -> None:
    (glas / "train_2.png").write_bytes(b"no image")
    with pytest.raises(BadInputError, match=r"train_2\.png: holds no slide or image.*--set on_corrupt=skip"):
        run(glas, tmp_path / "run")
    assert not (tmp_path / "run").exists()
    done, said = run(glas, tmp_path / "run", "on_corrupt=skip")
    assert "train_2" not in read_parts(done) and "train_1" in read_parts(done)
    assert said[0].startswith("skipped: ") and said[1] == "1 of 7 images is corrupt and skipped"


def test_one_image_in_two_parts_is_refused(glas: Path, tmp_path: Path) -> None:
    (glas / "testA_1.png").write_bytes((glas / "train_1.png").read_bytes())
    with pytest.raises(BadInputError, match=r"testA_1\.png: the same image as .*train_1\.png"):
        run(glas, tmp_path / "run")


@pytest.mark.parametrize("change", ["split=random", "on_corrupt=ignore"])
def test_unknown_choices_are_told(change: str) -> None:
    name, _, value = change.partition("=")
    with pytest.raises(BadInputError, match=f"{name}: one of .* Received: {value}"):
        override_settings(SMALL, [change])
