from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.export.int8_calibration import TILES, draw_calibration, read_calibration
from glandseg.model.parity import draw_golden_tiles
from glandseg.synthetic import draw_tile, write_slide
from glandseg.training.run import Run


def write_outlined(folder: Path, greys: dict[str, int]) -> Path:
    """A data set of plain images, each of one grey, with masks."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    for name, grey in greys.items():
        cv2.imwrite(str(folder / "images" / f"{name}.png"), np.full((64, 64, 3), grey, np.uint8))
        cv2.imwrite(str(folder / "masks" / f"{name}.png"), np.full((64, 64), 255, np.uint8))
    return folder


def write_split(run: Path, parts: dict[str, str]) -> Run:
    run.mkdir()
    with (run / "split.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("name", "group", "part"), *((n, n, part) for n, part in parts.items())])
    return Run(run)


def test_drawn_tissue_is_apart_from_the_golden_tiles_and_always_the_same() -> None:
    calibration = draw_calibration(0.62)
    assert (
        calibration.tiles.shape == (TILES, 320, 320, 3) and calibration.source == "32 tiles of drawn tissue"
    )
    assert np.array_equal(calibration.tiles, draw_calibration(0.62).tiles)
    golden = {tile.tobytes() for tile in draw_golden_tiles(0.62)}
    assert not golden & {tile.tobytes() for tile in calibration.tiles}


def test_images_that_a_run_is_scored_on_stay_apart(tmp_path: Path) -> None:
    data = write_outlined(tmp_path / "data", {"a": 60, "b": 120, "c": 180})
    run = write_split(tmp_path / "run", {"a": "train", "b": "val", "c": "test"})
    calibration = read_calibration(data, run, 1.0, mpp=1.0)
    assert len(calibration.tiles) == 1 and (calibration.tiles == 60).all()
    assert calibration.source == "1 windows of 1 training images of outlines"


def test_other_data_sets_are_taken_whole(tmp_path: Path) -> None:
    data = write_outlined(tmp_path / "data", {"a": 60, "b": 120})
    calibration = read_calibration(data, Run(tmp_path), 1.0, mpp=1.0)
    assert calibration.source == "2 windows of 2 images of outlines"


def test_a_slide_names_no_file(tmp_path: Path) -> None:
    write_slide(tmp_path / "patient-7.tif", draw_tile(900, 0.5, 0, "glands")[0], 0.5)
    calibration = read_calibration(tmp_path / "patient-7.tif", Run(tmp_path), 0.5)
    assert 1 < len(calibration.tiles) <= TILES
    assert "patient" not in calibration.source and calibration.source.endswith("slides or images")


def test_unknown_resolution_says_how_to_give_it(tmp_path: Path) -> None:
    data = write_outlined(tmp_path / "data", {"a": 60})
    with pytest.raises(BadInputError, match="Give --mpp"):
        read_calibration(data, Run(tmp_path), 1.0)


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such file or folder"):
        read_calibration(tmp_path / "none", Run(tmp_path), 1.0)
