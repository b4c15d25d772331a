"""A whole training from a teacher: without labels, with outlines beside, torn off and taken up again."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.synthetic import draw_tile
from glandseg.training.data.image_file import encode_png
from glandseg.training.distill.teacher import find_teacher
from glandseg.training.factory import load_segmenter
from glandseg.training.loop.fit import Progress
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run, open_run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings
from glandseg.training.train import train

FIT = FitSettings(steps=4, batch=2, lr=2e-3, warmup=2, precision="float32", validate_every=2)
SMALL = TrainSettings(
    labels="none",
    um_per_px=1.4,
    curves=False,
    segmenter=SegmenterSettings(crop=32, width=4, output_stride=32, fit=FIT),
)
BY_TEACHER = "val, the teacher's masks for truth"


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of six unlabelled synthetic images."""
    folder = tmp_path_factory.mktemp("images")
    for index in range(6):
        encode_png(folder / f"{index}.png", draw_tile(64, 1.4, index, "glands")[0])
    return folder


@pytest.fixture
def partly_outlined(tmp_path: Path) -> Path:
    """Return a table of six patches, of which the first patient's two have no outlines."""
    folder = tmp_path / "patches"
    folder.mkdir()
    rows = []
    for index in range(6):
        image, glands = draw_tile(64, 1.4, index, "glands")
        encode_png(folder / f"{index}.png", image)
        encode_png(folder / f"{index}_mask.png", glands.astype(np.uint8) * 255)
        mask = f"{index}_mask.png" if index > 1 else ""
        rows.append((f"{index}.png", 1, 1, f"P{index // 2}", 1.4, mask))
    with (folder / "patches.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("file", "gland", "non_gland", "patient", "um_per_px", "mask"), *rows])
    return folder


def teach(data: Path, folder: Path, teacher: Path, *changes: str) -> Run:
    settings = override_settings(SMALL, [f"teacher={teacher.as_posix()}", *changes])
    return train(data, folder, settings, report=lambda stage, progress: None, say=lambda line: None)


def test_from_images_alone(samples: Path, red_model: Path, tmp_path: Path) -> None:
    run = teach(samples, tmp_path / "run", red_model)
    record = open_run(run.path).record
    assert (record["data"], record["um_per_px"]) == ("images", 1.4)
    assert set(record["scores"]) == {BY_TEACHER}
    known = {"name": "red is gland", "sha256": hash_file(red_model), "um_per_px": 1.4, "scales": [1.0]}
    assert record["teacher"] == known | {"training": []}
    assert len(list((run.path / "teacher").glob("*.png"))) == 6 - record["images"]["test"]
    assert not run.pseudo_masks_path.exists() and not (run.path / "classifier.csv").exists()


@pytest.mark.parametrize("labels", ["none", "outlines"])
def test_cores_of_a_teacher_without_them(
    partly_outlined: Path, red_model: Path, tmp_path: Path, labels: str
) -> None:
    changes = [f"teacher={red_model.as_posix()}", f"labels={labels}", "segmenter.core_um=5"]
    said: list[str] = []
    run = train(
        partly_outlined,
        tmp_path / "run",
        override_settings(SMALL, changes),
        report=lambda stage, progress: None,
        say=said.append,
    )
    assert "note: red is gland has no core channel; cores are those of its mask, or of outlines" in said
    assert load_segmenter(run).outputs == 3 and not (run.path / "teacher_core").exists()
    student = find_teacher(override_settings(SMALL, [f"teacher={run.path.as_posix()}"]), None)
    assert student is not None and student.has_core


def test_outlines_are_mixed_in_where_there_are_some(
    partly_outlined: Path, red_model: Path, tmp_path: Path
) -> None:
    heavy, white_point = (
        teach(
            partly_outlined, tmp_path / weight, red_model, "labels=outlines", f"distillation.weight={weight}"
        )
        for weight in ("0.9", "0.1")
    )
    assert set(heavy.record["scores"]) <= {"val", BY_TEACHER}
    assert heavy.segmenter_path.read_bytes() != white_point.segmenter_path.read_bytes()


def test_outlines_that_nobody_drew_are_refused(samples: Path, red_model: Path, tmp_path: Path) -> None:
    table = tmp_path / "patches"
    table.mkdir()
    rows = [("file", "gland", "non_gland")]
    for path in sorted(samples.iterdir()):
        (table / path.name).write_bytes(path.read_bytes())
        rows.append((path.name, "1", "1"))
    with (table / "patches.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(BadInputError, match="no image to learn from has outlines. Give --labels none"):
        teach(table, tmp_path / "run", red_model, "labels=outlines")
    assert not (tmp_path / "run").exists()
    assert teach(table, tmp_path / "run", red_model).record["data"] == "patches"


@pytest.mark.parametrize("step", [1, 3])
def test_killed_and_resumed_gives_the_same_network(
    samples: Path, red_model: Path, tmp_path: Path, step: int
) -> None:
    whole = teach(samples, tmp_path / "whole", red_model)
    settings = override_settings(SMALL, [f"teacher={red_model.as_posix()}"])

    def kill(stage: str, progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(samples, tmp_path / "torn", settings, report=kill, say=lambda line: None)
    next((tmp_path / "torn" / "teacher").glob("*.png")).unlink()  # as if torn off among the maps
    torn = teach(samples, tmp_path / "torn", red_model)
    files = sorted(path.relative_to(whole.path) for path in whole.path.rglob("*") if path.is_file())
    assert Path("teacher.json") in files
    for file in set(files) - {Path("run.json")}:
        assert (torn.path / file).read_bytes() == (whole.path / file).read_bytes(), file
    assert torn.record == whole.record | {"seconds": None}


def test_a_run_does_not_change_its_teacher(samples: Path, red_model: Path, tmp_path: Path) -> None:
    own = tmp_path / "own.onnx"
    own.write_bytes(red_model.read_bytes())
    teach(samples, tmp_path / "run", own)
    with own.open("ab") as file:
        file.write(b"\x72\x00")  # an empty field, so another file of the same network
    with pytest.raises(BadInputError, match="was started with another teacher or other images"):
        teach(samples, tmp_path / "run", own)


@pytest.mark.parametrize("teacher", ["missing", "run", "text.onnx"])
def test_a_teacher_that_cannot_teach_leaves_nothing_behind(
    samples: Path, tmp_path: Path, teacher: str
) -> None:
    (tmp_path / "text.onnx").write_text("text", encoding="utf-8")
    with pytest.raises(BadInputError) as caught:
        teach(samples, tmp_path / "run", tmp_path / teacher)
    assert "\n" not in str(caught.value) and teacher in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_labels_none_needs_a_teacher(samples: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="Give --teacher"):
        train(samples, tmp_path / "run", SMALL, report=lambda stage, progress: None, say=lambda line: None)
    assert not (tmp_path / "run").exists()
