"""Who may teach, and what is said of those who may not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from glandseg.core.errors import BadInputError, GlandsegError
from glandseg.core.system import hash_file
from glandseg.training.data.datasets import DataSet, Sample
from glandseg.training.data.splits import Split
from glandseg.training.distill.teacher import Teacher, find_teacher, open_teacher, refuse_idle_labels
from glandseg.training.factory import build_segmenter
from glandseg.training.loop.checkpoint import save_network
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import write_settings

SETTINGS = TrainSettings(labels="outlines", segmenter=SegmenterSettings(width=4, output_stride=32))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Return a finished run that was a student itself."""
    run = Run(tmp_path / "big")
    run.path.mkdir()
    write_settings(run.path / "settings.yaml", SETTINGS)
    torch.manual_seed(0)
    save_network(run.segmenter_path, build_segmenter(SETTINGS))
    (run.path / "split.csv").write_text("name,group,part\na,1,train\nb,2,val\nc,3,test\n", encoding="utf-8")
    teacher = {"training": [{"name": "Q", "licence": "CC0"}]}
    run.write_record(data="glas", um_per_px=0.62, teacher=teacher)
    return run


def name_teacher(path: Path) -> TrainSettings:
    return replace(SETTINGS, labels="none", teacher=path.as_posix())


def test_without_a_teacher_there_is_none(tmp_path: Path) -> None:
    assert find_teacher(SETTINGS, tmp_path) is None


def test_a_run_teaches(run: Run, tmp_path: Path) -> None:
    teacher = find_teacher(name_teacher(run.path), tmp_path / "small")
    assert teacher is not None
    assert (teacher.name, teacher.um_per_px, teacher.scales) == ("big", 0.62, (1.0,))
    assert teacher.sha256 == hash_file(run.segmenter_path)
    assert teacher.training == ({"name": "glas"}, {"name": "Q", "licence": "CC0"})
    assert (teacher.data, teacher.seen) == ("glas", frozenset("ab"))
    assert not (tmp_path / "small").exists()


def test_a_model_file_teaches(red_model: Path) -> None:
    teacher = find_teacher(name_teacher(red_model), None)
    assert teacher is not None
    assert (teacher.name, teacher.um_per_px) == ("red is gland", 1.4)
    assert teacher.sha256 == hash_file(red_model) and teacher.seen == frozenset()
    with open_teacher(teacher.path) as model:
        windows = np.full((1, 320, 320, 3), 77, np.uint8)
        assert (model.backend.infer(windows)[:, 1] == 77).all()


def expect_refusal(teacher: Path, folder: Path | None, message: str) -> None:
    with pytest.raises(GlandsegError) as caught:
        find_teacher(name_teacher(teacher), folder)
    assert isinstance(caught.value, BadInputError)
    assert message in str(caught.value) and "\n" not in str(caught.value)
    assert str(caught.value).startswith(teacher.as_posix()) or teacher.name in str(caught.value)


def test_what_cannot_teach_is_reported(run: Run, tmp_path: Path) -> None:
    expect_refusal(tmp_path / "none.onnx", None, "no such teacher. Give --teacher a run folder")
    (tmp_path / "empty").mkdir()
    expect_refusal(tmp_path / "empty", None, "not a run folder")
    expect_refusal(run.path, tmp_path / "." / "big", "cannot be teacher and student. Give another --out")
    (tmp_path / "text.onnx").write_text("text", encoding="utf-8")
    expect_refusal(tmp_path / "text.onnx", None, "it is no ONNX file")
    run.segmenter_path.write_bytes(b"damaged")
    expect_refusal(run.path, None, "not the weights of this run")
    run.segmenter_path.unlink()
    expect_refusal(run.path, None, "did not finish")


def test_a_model_of_something_else_is_refused(tmp_path: Path, write_model: object) -> None:
    assert callable(write_model)
    expect_refusal(write_model(tmp_path / "cells.onnx", {"other": "card"}), None, "not a model of glandseg")


@pytest.mark.parametrize(
    ("labels", "teacher", "message"),
    [
        ("none", None, "labels none: needs a teacher. Give --teacher"),
        ("patches", "runs/big", "labels patches: a teacher takes their place. Give --labels none"),
    ],
)
def test_idle_labels_are_refused(labels: str, teacher: str | None, message: str) -> None:
    with pytest.raises(BadInputError, match=message):
        refuse_idle_labels(TrainSettings(labels=labels, teacher=teacher))


@pytest.mark.parametrize(
    ("labels", "teacher"), [("patches", None), ("outlines", None), ("outlines", "big"), ("none", "big")]
)
def test_other_labels_are_not(labels: str, teacher: str | None) -> None:
    refuse_idle_labels(TrainSettings(labels=labels, teacher=teacher))


def test_test_images_that_the_teacher_knows_are_counted() -> None:
    a, b, c = (Sample(name=name, path=Path(name), group=name) for name in "abc")
    split, glas = (
        Split(train=(a,), val=(), test=(b, c)),
        DataSet(kind="glas", samples=(a, b, c), um_per_px=None),
    )
    teacher = Teacher(
        path=Path("big"),
        name="big",
        sha256="0",
        um_per_px=1,
        scales=(1.0,),
        data="glas",
        seen=frozenset("ab"),
    )
    note = "1 of the 2 test images are among those the teacher learned from"
    assert teacher.note_seen(glas, split) == note and teacher.describe(glas, split)["note"] == note
    other = replace(glas, kind="ebhi")
    assert teacher.note_seen(other, split) == "" and "note" not in teacher.describe(other, split)
