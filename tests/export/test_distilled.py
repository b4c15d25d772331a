"""A run and its model file teach alike, and a student passes the same gate as any run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glandseg.export.run_export import ExportResult, export_run
from glandseg.model.card import ModelCard
from glandseg.model.onnx.cpu import CpuSession
from glandseg.synthetic import draw_tile
from glandseg.training.data.image_file import encode_png
from glandseg.training.distill.teacher import find_teacher
from glandseg.training.distill.teacher_maps import TeacherMaps
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.train import train

FIT = FitSettings(steps=2, batch=2, warmup=0, precision="float32", validate_every=2)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    for index in range(4):
        encode_png(folder / f"{index}.png", draw_tile(256, 0.62, 50 + index, "mixed")[0])
    return folder


def distil(teacher: Path, data: Path, folder: Path) -> Run:
    settings = TrainSettings(
        labels="none",
        teacher=teacher.as_posix(),
        um_per_px=0.62,
        curves=False,
        segmenter=SegmenterSettings(crop=64, width=4, output_stride=32, fit=FIT),
    )
    return train(data, folder, settings, report=lambda stage, progress: None, say=lambda line: None)


def read_card(result: ExportResult) -> ModelCard:
    with CpuSession(result.artifacts[0].path) as session:
        return session.card


def test_a_run_and_its_model_file_teach_alike(
    run: Run, exported: ExportResult, images: Path, tmp_path: Path
) -> None:
    by_run = distil(run.path, images, tmp_path / "by-run")
    by_file = distil(exported.artifacts[0].path, images, tmp_path / "by-file")
    names = [path.stem for path in (by_run.path / "teacher").glob("*.png")]
    first, second = (
        np.stack([TeacherMaps(each.path).read(name) for name in names]).astype(int)
        for each in (by_run, by_file)
    )
    assert np.abs(first - second).max() <= 1
    assert np.ptp(first) > 50


def test_a_student_is_exported_as_any_run(exported: ExportResult, images: Path, tmp_path: Path) -> None:
    model = exported.artifacts[0]
    student = distil(model.path, images, tmp_path / "student")
    card = read_card(export_run(student, tmp_path / "models", name="student"))
    assert card.network.endswith(f"distilled from small (sha256 {model.sha256})")
    names = [source["name"] for source in card.training]
    assert names == ["images", f"distilled from small (sha256 {model.sha256})", "glas"]
    assert card.scores is not None and set(card.scores) == {"val, the teacher's masks for truth"}


def test_a_student_can_teach(exported: ExportResult, images: Path, tmp_path: Path) -> None:
    student = distil(exported.artifacts[0].path, images, tmp_path / "student")
    teacher = find_teacher(replace(student.settings, teacher=student.path.as_posix()), tmp_path / "next")
    assert teacher is not None
    assert [source["name"] for source in teacher.training] == ["images", "glas"]
