"""The robustness benchmark changes images as it says, and scores them as `glandseg evaluate` does."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import robustness
from benchmarks.robustness import CHANGES, H, brighten, compress, format_table, stain
from glandseg.synthetic import draw_tile
from tests.conftest import RunCommand

TISSUE = draw_tile(96, 0.6, 0, "mixed")[0]


@pytest.fixture
def glas(tmp_path: Path) -> Path:
    folder = tmp_path / "glas"
    folder.mkdir()
    truth = np.zeros((200, 240), np.uint8)
    truth[40:120, 40:120], truth[40:120, 150:220] = 1, 2
    image = np.full((200, 240, 3), 90, np.uint8)
    image[..., 2] = 255 * (truth > 0)
    for name in ("testA_1", "testA_2"):
        for ending, pixels in (("", image), ("_anno", truth)):
            cv2.imencode(".png", pixels)[1].tofile(folder / f"{name}{ending}.png")
    return folder


@pytest.mark.parametrize("change", [partial(stain, row=H, factor=1.0), partial(brighten, factor=1.0)])
def test_a_factor_of_one_changes_nothing(change: Callable[..., robustness.Pixels]) -> None:
    assert np.abs(change(TISSUE).astype(int) - TISSUE).max() <= 1


def test_more_haematoxylin_is_darker_and_bluer() -> None:
    before, after = TISSUE.reshape(-1, 3).mean(axis=0), stain(TISSUE, H, 1.4).reshape(-1, 3).mean(axis=0)
    assert (after < before).all()
    assert (before - after)[0] > (before - after)[2]  # red light is absorbed most


def test_lower_quality_loses_more() -> None:
    losses = [np.abs(compress(TISSUE, quality).astype(int) - TISSUE).mean() for quality in (95, 75, 50, 30)]
    assert losses == sorted(losses) and losses[0] > 0


def test_every_change_is_scored(
    glas: Path, red_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_command: RunCommand
) -> None:
    changes = {"same": partial(brighten, factor=1.0), "dark": partial(brighten, factor=0.2)}
    monkeypatch.setattr(robustness, "CHANGES", changes)
    monkeypatch.setattr(robustness, "WRONG_UM", {"twice": 2.0})
    target = tmp_path / "robustness.json"
    arguments = [str(red_model), "--data", str(glas), "--part", "testA", "--threads", "1"]
    robustness.main([*arguments, "--json", str(target)])
    scores = json.loads(target.read_text(encoding="utf-8"))["scores"]
    assert list(scores) == ["unchanged", "same", "dark", "twice"]
    assert scores["same"] == scores["unchanged"] and scores["unchanged"]["miou"] > 90
    assert scores["dark"]["miou"] < 50  # red is gland, and there is none left
    evaluated = run_command("evaluate", glas, red_model, "--part", "testA", "--out", tmp_path / "table.md")
    assert evaluated.code == 0
    (model,) = json.loads((tmp_path / "table.json").read_text(encoding="utf-8"))["models"]
    assert model["scores"]["testA"]["miou"] == scores["unchanged"]["miou"]


def test_the_table_names_what_a_change_costs() -> None:
    table = format_table({"unchanged": {"miou": 80.0}, "blur": {"miou": 78.5}})
    assert table.splitlines()[-1] == "| blur | 78.50 (-1.50) |"
    assert len(CHANGES) == 13
