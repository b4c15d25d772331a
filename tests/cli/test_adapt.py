"""`glandseg adapt` from a run to a report; what cannot be asked is refused in one line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glandseg.synthetic import draw_tile
from glandseg.training.loop.fit_settings import FitSettings
from glandseg.training.run import Run
from glandseg.training.segmenter_settings import SegmenterSettings
from glandseg.training.settings import TrainSettings
from glandseg.training.train import train

RunCommand = Callable[..., Any]
FIT = FitSettings(steps=1, batch=2, warmup=0, precision="float32", validate_every=1)


@pytest.fixture(scope="module")
def tiles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiles")
    for index in range(6):
        image, truth = draw_tile(96, 0.62, index, "glands")
        for ending, pixels in (("", image[..., ::-1]), ("_anno", truth.astype(np.uint8))):
            cv2.imencode(".png", pixels)[1].tofile(folder / f"tile_{index}{ending}.png")
    return folder


@pytest.fixture(scope="module")
def source(tiles: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    segmenter = SegmenterSettings(crop=64, width=8, output_stride=16, synthetic=0.0, fit=FIT)
    settings = TrainSettings(labels="outlines", segmenter=segmenter)
    folder = tmp_path_factory.mktemp("runs") / "source"
    return train(tiles, folder, settings, report=lambda stage, progress: None, say=lambda line: None)


def test_report_and_evaluation_of_the_adapted(
    source: Run, tiles: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    words = ("--fractions", "0.5", "--seeds", 2, "--out", tmp_path / "out", "--set", "segmenter.fit.steps=1")
    outcome = run_command("adapt", source.path, tiles, "--threads", 1, *words)
    assert outcome.code == 0, outcome.err
    assert any(line.startswith("| 50 % | 2 | 2 |") for line in outcome.out)
    assert {path.suffix for path in (tmp_path / "out").glob("adaptation.*")} == {
        ".csv",
        ".md",
        ".png",
        ".json",
    }
    runs = [tmp_path / "out" / f"50-percent-seed-{seed}" for seed in (0, 1)]
    outcome = run_command("evaluate", tiles, *runs, "--part", "test", "--threads", 1)
    assert outcome.code == 0 and any("mean±std of 2" in line for line in outcome.out)
    assert not any("learned from" in line for line in outcome.out)
    outcome = run_command("evaluate", tiles, source.path, "--part", "train", "--threads", 1)
    assert outcome.out[-1].startswith("source was trained or validated on ")


@pytest.mark.parametrize("fractions", ["0", "1.5", "a", "", "0.1,-1"])
def test_fractions_outside_are_refused(
    source: Run, tiles: Path, run_command: RunCommand, fractions: str
) -> None:
    outcome = run_command("adapt", source.path, tiles, "--fractions", fractions)
    assert outcome.code == 2 and "--fractions: must be above 0 and at most 1" in outcome.err[0]


def test_what_is_no_run_is_refused(tiles: Path, run_command: RunCommand) -> None:
    outcome = run_command("adapt", tiles, tiles)
    assert outcome.code == 2 and "not a run folder" in outcome.err[0]
