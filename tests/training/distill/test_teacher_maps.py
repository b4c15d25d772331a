"""Maps are made once, at the teacher's um/px and scales, and never of two teachers."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError
from glandseg.training.data.datasets import Sample
from glandseg.training.data.image_file import encode_png
from glandseg.training.distill import teacher_maps
from glandseg.training.distill.teacher import Teacher, find_teacher
from glandseg.training.distill.teacher_maps import CORE_FOLDER, TeacherMaps, hash_images, make_teacher_maps
from glandseg.training.evaluation.scored_model import ScoredModel
from glandseg.training.settings import TrainSettings

UM = 1.4


@pytest.fixture
def teacher(red_model: Path) -> Teacher:
    """Return the teacher "red is gland" of 1.4 um/px."""
    teacher = find_teacher(TrainSettings(labels="none", teacher=red_model.as_posix()), None)
    assert teacher is not None
    return teacher


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    """Return three images whose red grows from left to right."""
    image = np.zeros((40, 60, 3), np.uint8)
    image[..., 0] = np.linspace(0, 255, 60)
    found = []
    for index in range(3):
        path = tmp_path / f"{index}.png"
        encode_png(path, np.ascontiguousarray(image[:, : 60 - index]))
        found.append(Sample(name=f"slide/{index}.png", path=path, group="slide"))
    return found


def make(run_path: Path, teacher: Teacher, samples: list[Sample], um_per_px: float = UM) -> list[str]:
    run_path.mkdir(exist_ok=True)
    said: list[str] = []
    make_teacher_maps(run_path, teacher, samples, um_per_px, said.append)
    return said


def test_every_image_has_its_map(teacher: Teacher, samples: list[Sample], tmp_path: Path) -> None:
    assert make(tmp_path / "run", teacher, samples) == ["teacher: red is gland, 1.4 um/px, 3 maps to make"]
    for sample in samples:
        np.testing.assert_array_equal(TeacherMaps(tmp_path / "run").read(sample.name), sample.read()[..., 0])


def test_maps_have_the_images_size_whatever_the_teachers_resolution(
    teacher: Teacher, samples: list[Sample], tmp_path: Path
) -> None:
    make(tmp_path / "run", teacher, samples, um_per_px=0.7)
    found = TeacherMaps(tmp_path / "run").read(samples[0].name)
    assert found.shape == (40, 60)
    assert np.abs(found.astype(int) - samples[0].read()[..., 0])[:, 4:-4].max() <= 3


def test_what_is_there_is_not_made_again(teacher: Teacher, samples: list[Sample], tmp_path: Path) -> None:
    make(tmp_path / "run", teacher, samples)
    maps = TeacherMaps(tmp_path / "run")
    whole = maps.find(samples[1].name).read_bytes()
    maps.find(samples[1].name).unlink()
    kept = maps.find(samples[0].name).stat().st_mtime_ns
    assert make(tmp_path / "run", teacher, samples)[0].endswith("1 maps to make")
    assert maps.find(samples[1].name).read_bytes() == whole
    assert maps.find(samples[0].name).stat().st_mtime_ns == kept


def test_maps_of_two_teachers_or_of_other_images_never_mix(
    teacher: Teacher, samples: list[Sample], tmp_path: Path
) -> None:
    make(tmp_path / "run", teacher, samples)
    before = (tmp_path / "run" / "teacher.json").read_bytes()
    for other in (replace(teacher, sha256="1"), replace(teacher, scales=(1.0, 2.0))):
        expect_refusal(tmp_path / "run", other, samples)
    expect_refusal(tmp_path / "run", teacher, samples[:2])
    encode_png(samples[0].path, np.zeros((40, 60, 3), np.uint8))
    expect_refusal(tmp_path / "run", teacher, samples)
    assert (tmp_path / "run" / "teacher.json").read_bytes() == before


def expect_refusal(run_path: Path, teacher: Teacher, samples: list[Sample]) -> None:
    with pytest.raises(BadInputError, match="another teacher or other images. Give another --out folder"):
        make(run_path, teacher, samples)


@pytest.mark.parametrize("text", ["{", "[" * 100_000])
def test_a_damaged_claim_is_refused(
    text: str, teacher: Teacher, samples: list[Sample], tmp_path: Path
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "teacher.json").write_text(text, encoding="utf-8")
    expect_refusal(tmp_path / "run", teacher, samples)


def test_the_order_of_images_is_none_of_their_hash(samples: list[Sample]) -> None:
    assert hash_images(samples) == hash_images(samples[::-1]) != hash_images(samples[1:])
    assert hash_images(samples) != hash_images([replace(samples[0], name="x"), *samples[1:]])


def test_a_turned_image_is_refused(teacher: Teacher, tmp_path: Path) -> None:
    path = tmp_path / "turned.jpg"
    jpeg = cv2.imencode(".jpg", np.full((40, 60, 3), 90, np.uint8))[1].tobytes()
    turn = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + (len(turn) + 2).to_bytes(2, "big") + turn + jpeg[2:])
    sample = Sample(name="turned", path=path, group="turned")
    with pytest.raises(BadInputError, match=r"turned.jpg: has the orientation tag 6"):
        make(tmp_path / "run", teacher, [sample])
    assert not list((tmp_path / "run").rglob("*.png"))


class RedAndGreen(contextlib.nullcontext["RedAndGreen"]):
    """Backend whose gland is red and whose core is green."""

    name, classes = "red and green", 3

    def __init__(self) -> None:
        super().__init__(self)

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([255 - windows[..., 0], windows[..., 0], windows[..., 1]], axis=1)


def test_a_teacher_with_cores_maps_them_beside_its_glands(
    teacher: Teacher, samples: list[Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = samples[0].read()
    image[..., 1] = 77
    encode_png(samples[0].path, image)
    model = ScoredModel(
        name="m", path=tmp_path, sha256="", um_per_px=UM, scales=(1.0,), backend=RedAndGreen()
    )
    monkeypatch.setattr(teacher_maps, "open_teacher", lambda path: contextlib.nullcontext(model))
    make(tmp_path / "run", teacher, samples[:1])
    said: list[str] = []
    cores = make_teacher_maps(tmp_path / "run", teacher, samples[:1], UM, said.append, CORE_FOLDER)
    assert said == ["teacher: red is gland, 1.4 um/px, 1 core maps to make"]
    np.testing.assert_array_equal(cores.read(samples[0].name), image[..., 1])
    np.testing.assert_array_equal(TeacherMaps(tmp_path / "run").read(samples[0].name), image[..., 0])


def test_a_model_of_two_channels_has_no_core(teacher: Teacher) -> None:
    assert not teacher.has_core
