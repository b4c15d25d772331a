"""Sheets show every image, its outlines in their colors, and the worst first."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.training.data.sample import Sample
from glandseg.training.evaluation.contact_sheet import (
    CYAN,
    GREEN,
    SIDE_PX,
    Cell,
    draw_cell,
    write_contact_sheet,
)
from glandseg.training.evaluation.evaluate import ImageScore
from glandseg.training.evaluation.metrics import Confusion
from glandseg.training.evaluation.worst import WorstImages


def make_cell(height: int = 200, width: int = 300) -> Cell:
    mask = np.zeros((height, width), bool)
    mask[height // 4 : height // 2, width // 4 : width // 2] = True
    image = np.full((height, width, 3), 200, np.uint8)
    return Cell(image=image, outlines=((mask, GREEN), (np.roll(mask, 60, 1), CYAN)), caption="one")


def has_color(pixels: NDArray[np.uint8], color: tuple[int, int, int]) -> bool:
    return bool((np.abs(pixels.astype(int) - color).max(axis=2) <= 2).any())


@pytest.mark.parametrize(("height", "width"), [(200, 300), (900, 400), (3, 5)])
def test_a_cell_is_as_wide_as_any_other_and_shows_both_outlines(height: int, width: int) -> None:
    cell = draw_cell(make_cell(height, width))
    assert cell.shape[1:] == (SIDE_PX, 3)
    assert height < 100 or (has_color(cell, GREEN) and has_color(cell, CYAN))


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 4), (6, 4)])
def test_a_sheet_has_room_for_all(tmp_path: Path, count: int, columns: int) -> None:
    path = tmp_path / "sheet.png"
    write_contact_sheet(path, [make_cell()] * count, "title")
    sheet = np.asarray(cv2.imread(str(path)))
    assert sheet.shape[1] == columns * SIDE_PX
    assert [file.name for file in tmp_path.iterdir()] == ["sheet.png"]
    last = sheet[-draw_cell(make_cell()).shape[0] :, ((count - 1) % columns) * SIDE_PX :][:, :SIDE_PX, ::-1]
    assert has_color(last, GREEN) and has_color(last, CYAN)


def test_the_worst_are_kept_and_come_first(tmp_path: Path) -> None:
    truth = np.zeros((40, 40), np.uint8)
    truth[10:30, 10:30] = 1
    for name, pixels in (("image", np.dstack([truth * 255] * 3)), ("mask", truth)):
        cv2.imencode(".png", pixels)[1].tofile(tmp_path / f"{name}.png")
    worst = WorstImages(2)
    for shift in (3, 9, 0, 6):
        mask = np.roll(truth, shift, 1) == 1
        sample = Sample(
            name=f"by {shift}", path=tmp_path / "image.png", mask_path=tmp_path / "mask.png", group=""
        )
        worst.add(sample, ImageScore(confusion=Confusion.of(mask, truth == 1)), mask)
    assert worst.list_names() == ["by 9", "by 6"]
    worst.write_sheet(tmp_path / "worst.png", "a model")
    sheet = np.asarray(cv2.imread(str(tmp_path / "worst.png")))
    assert sheet.shape[1] == 2 * SIDE_PX
