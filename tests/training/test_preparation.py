"""What speaks against a training is said before its first stage."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.preparation import Prepared, prepare
from glandseg.training.settings import TrainSettings
from glandseg.training.settings_file import override_settings

SETTINGS = TrainSettings(um_per_px=0.62)


def write_pair(folder: Path, name: str, value: int, mask: np.ndarray | None) -> None:
    for part, pixels in (("images", np.full((9, 9, 3), value, np.uint8)), ("masks", mask)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        if pixels is not None:
            cv2.imencode(".png", pixels)[1].tofile(folder / part / f"{name}.png")


def write_patches(folder: Path, count: int = 6, masks: int = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = ["file,gland,non_gland,patient,mask"]
    for index in range(count):
        mask = f"m{index}.png" if index < masks else ""
        rows.append(f"{index}.png,1,{index % 2},P{index},{mask}")
        for name, pixels in ((f"{index}.png", np.full((9, 9, 3), index, np.uint8)), (mask, np.eye(9))):
            if name:
                cv2.imencode(".png", pixels)[1].tofile(folder / name)
    (folder / "patches.csv").write_text("\n".join(rows))
    return folder


def run(data: Path, *changes: str) -> tuple[Prepared, list[str]]:
    said: list[str] = []
    return prepare(data, override_settings(SETTINGS, changes), said.append), said


@pytest.mark.parametrize(("um", "least"), [("0.06", "0.1"), ("4.5", "0.1"), ("8", "0.1")])
def test_a_scale_that_cannot_be_trained_at_is_refused(tmp_path: Path, um: str, least: str) -> None:
    data = write_patches(tmp_path)
    with pytest.raises(BadInputError, match=f"would work at {um} um/px; it is trained between {least} and 4"):
        run(data, f"um_per_px={um}")
    for cure in ("segmenter.um_per_px=1", "segmenter.synthetic=0"):
        assert run(data, f"um_per_px={um}", cure)[0].um_per_px == float(um)


@pytest.mark.parametrize("stage", ["classifier", "segmenter"])
def test_an_output_stride_that_the_encoder_cannot_have_is_refused(tmp_path: Path, stage: str) -> None:
    told = rf"{stage}\.output_stride of resnet38: one of 8, 16\. Received: 32"
    with pytest.raises(BadInputError, match=told):
        run(write_patches(tmp_path), "encoder=resnet38", f"{stage}.output_stride=32")


@pytest.mark.parametrize("um", ["0.001", "21", "1000"])
def test_an_absurd_scale_is_refused(tmp_path: Path, um: str) -> None:
    with pytest.raises(BadInputError, match="images lie between 0.05 and 20. Give --mpp"):
        run(write_patches(tmp_path), f"um_per_px={um}", "segmenter.um_per_px=1")


def test_outlines_of_some_images_alone_are_refused(tmp_path: Path) -> None:
    data = write_patches(tmp_path, masks=4)
    with pytest.raises(
        BadInputError, match=r"2 of 6 images have no outline mask\. Train with --labels patches"
    ):
        run(data, "labels=outlines")
    assert len(run(data)[0].data_set.samples) == 6


def test_a_name_too_long_for_its_mask_is_refused(tmp_path: Path) -> None:
    name = "a" * 245 + ".png"
    data = write_patches(tmp_path)
    (data / "0.png").rename(data / name)
    table = (data / "patches.csv").read_text().replace("0.png,1", f"{name},1", 1)
    (data / "patches.csv").write_text(table)
    with pytest.raises(BadInputError, match="a name of more than 240 bytes.*Shorten it"):
        run(data)


@pytest.mark.parametrize(
    ("mask", "note"),
    [(0, "no mask marks any gland: all are empty"), (255, "the masks mark nothing but gland")],
)
def test_masks_of_one_class_are_noted(tmp_path: Path, mask: int, note: str) -> None:
    for index in range(4):
        write_pair(tmp_path, f"{index}", index, np.full((9, 9), mask, np.uint8))
    assert any(note in line for line in run(tmp_path)[1])
    write_pair(tmp_path, "0", 0, np.eye(9, dtype=np.uint8))
    assert run(tmp_path)[1] == []


def test_a_choice_in_reading_masks_is_reported(tmp_path: Path) -> None:
    for index in range(3):
        colors = np.zeros((9, 9, 3), np.uint8)
        colors[:4, :4, 0], colors[5:, 5:, 1] = 255, 255
        write_pair(tmp_path, f"{index}", index, colors)
    (line,) = run(tmp_path)[1]
    assert line == "note: 3 masks: several colors; all but black are taken for gland: 0, 1, 2"
