"""A comparison trains, scores, resumes and reports; it refuses what would not compare."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glandseg.core.errors import BadInputError
from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.comparison import compare as module
from glandseg.training.comparison.compare import ComparedRun, Comparison, compare
from glandseg.training.comparison.method_table import find_methods
from glandseg.training.comparison.report import (
    NAMES,
    find_best,
    format_comparison,
    list_p_values,
    write_comparison,
)
from glandseg.training.data.datasets import find_samples
from glandseg.training.data.decoding import read_rgb
from glandseg.training.data.image_file import encode_png
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings

FIT = FitSettings(steps=2, batch=3, warmup=1, precision="float32", validate_every=1)
SMALL = TrainSettings(
    curves=False,
    classifier=ClassifierSettings(side=16, stride=16, input=32, fit=FIT),
    segmenter=SegmenterSettings(crop=32, width=8, fit=FIT),
)


def write_tiles(folder: Path, *, with_masks: bool = True) -> Path:
    """Write GlaS-like tiles of ten patients whose right half is red and gland."""
    folder.mkdir()
    for index in range(10):
        image, mask = np.full((64, 64, 3), 40 + index, np.uint8), np.zeros((64, 64), np.uint8)
        image[:, 32:, 0], mask[:, 32:] = 200, 1
        for suffix, pixels in (("", image), ("_anno", mask)):
            if with_masks or not suffix:
                encode_png(folder / f"tile{index}{suffix}.png", pixels)
    return folder


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiles(tmp_path_factory.mktemp("data") / "tiles")


def run(
    tiles: Path, folder: Path, names: list[str], seeds: int, lines: list[str] | None = None
) -> Comparison:
    return compare(
        tiles,
        folder,
        SMALL,
        methods=find_methods(names, SMALL),
        seeds=range(seeds),
        say=(lines if lines is not None else []).append,
    )


def test_a_comparison_grows_and_reports_all_its_runs(tiles: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = run(tiles, folder, ["outlines", "cam"], 1)
    assert [(each.method, each.seed) for each in first.runs] == [("outlines", 0), ("cam", 0)]
    outlines, cam = first.runs
    assert not outlines.stage_1 and set(cam.stage_1) == {"cam", "pseudo_mask"}
    assert 0 <= cam.stage_1["cam"] <= 100
    assert cam.stage_1["pseudo_mask"] == 100  # no patch is mixed: labels decide every pixel

    lines: list[str] = []
    second = run(tiles, folder, ["cam"], 2, lines)
    assert [(each.method, each.seed) for each in second.runs] == [("outlines", 0), ("cam", 0), ("cam", 1)]
    assert lines[0] == f"{folder / 'cam' / 'seed-0'}: finished already"
    assert second.runs[1].test == cam.test and second.runs[1].record == cam.record

    paths = write_comparison(second)
    assert [path.name for path in paths] == list(NAMES) and all(path.stat().st_size for path in paths)
    facts = json.loads(paths[1].read_text(encoding="utf-8"))
    assert [each["seed"] for each in facts["methods"]["cam"]["runs"]] == [0, 1]
    assert facts["settings"]["segmenter"]["fit"]["steps"] == 2 and facts["best"] == "cam"
    sheet = read_rgb(paths[3])
    assert sheet.shape[1] == 2 * 380  # a column for each method


def test_another_base_is_refused(tiles: Path, tmp_path: Path) -> None:
    module.start_comparison(tmp_path / "out", SMALL)
    module.start_comparison(tmp_path / "out", SMALL)
    with pytest.raises(BadInputError, match="other settings. Give another --out"):
        module.start_comparison(tmp_path / "out", replace(SMALL, encoder="resnet50v2"))


def test_test_images_need_outlines(tmp_path: Path) -> None:
    patches = tmp_path / "patches"
    for kind in ("gland", "non_gland"):
        (patches / kind).mkdir(parents=True)
        for index in range(6):
            encode_png(patches / kind / f"{kind}{index}.png", np.full((32, 32, 3), 90 + index, np.uint8))
    with pytest.raises(BadInputError, match="test images with outlines"):
        run(patches, tmp_path / "out", ["cam"], 1)
    assert not (tmp_path / "out").exists()


def fake(tiles: Path, mious: dict[str, list[float]]) -> Comparison:
    """Return a comparison with these scores, one for each seed."""
    record = {"images": {"train": 7, "val": 1, "test": 2}}
    runs = [
        ComparedRun(
            path=tiles,
            method=method,
            seed=seed,
            stage_1={} if method == "outlines" else {"cam": miou - 20, "pseudo_mask": miou - 10},
            test={"images": 2, "miou": miou, "f1": miou + 5},
            record=record,
        )
        for method, values in mious.items()
        for seed, miou in enumerate(values)
    ]
    return Comparison(folder=tiles, data_set=find_samples(tiles), runs=tuple(runs))


def test_the_best_is_the_highest_mean_without_the_upper_bound(tiles: Path) -> None:
    found = fake(tiles, {"outlines": [90.0, 90.0], "cam": [50.0, 80.0], "feng": [70.0, 71.0]})
    assert find_best(found) == "feng"
    assert find_best(fake(tiles, {"outlines": [90.0]})) is None


def test_p_values_need_two_seeds_of_both(tiles: Path) -> None:
    found = list_p_values(fake(tiles, {"outlines": [9.0, 9.1], "cam": [50.0, 50.2], "feng": [70.0, 70.2]}))
    assert list(found) == ["cam"] and found["cam"] < 0.001
    assert not list_p_values(fake(tiles, {"cam": [50.0], "feng": [70.0, 70.2]}))
    assert not list_p_values(fake(tiles, {"cam": [50.0, 50.2], "feng": [70.0]}))


def test_tables_are_those_of_the_papers(tiles: Path) -> None:
    text = format_comparison(fake(tiles, {"outlines": [90.0], "cam": [50.0, 50.2], "feng": [70.0, 70.2]}))
    assert "| CAM (Zhou et al. 2016) | 2 | 50.10±0.14 | 55.10±0.14 | 5e-05 *** |" in text
    assert "| Feng et al. 2025 | 2 | 70.10±0.14 | 75.10±0.14 | - |" in text
    assert "| fully supervised, from outlines | - | - | 90.00 |" in text
    assert "| CAM (Zhou et al. 2016) | 30.10±0.14 | 40.10±0.14 | 50.10±0.14 |" in text
    assert "on 7 training images" in text and "2 test images" in text
