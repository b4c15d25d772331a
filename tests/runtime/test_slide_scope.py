"""A slide's distance from what its model learned from, in the warnings and in the record."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.files import ModelFile, check_model
from glandseg.model.onnx.cpu import CpuSession
from glandseg.runtime.infer import Result, infer_slide
from glandseg.runtime.settings import InferSettings
from glandseg.runtime.tissue.appearance import SIDE_PX, measure_appearance
from glandseg.runtime.tissue.scope import fit_scope, write_scope
from glandseg.synthetic import draw_slide, write_slide

UM_PER_PX = 1.4
CORNERS = [(y, x) for y in range(0, 541, 60) for x in range(0, 641, 80)]
Infer = Callable[[NDArray[np.uint8]], Result]


@pytest.fixture
def model(red_model: Path, tmp_path: Path) -> ModelFile:
    """A model beside which lies a scope of synthetic tissue."""
    path = tmp_path / "model" / "red.onnx"
    path.parent.mkdir()
    shutil.copy(red_model, path)
    images = [draw_slide(800, 700, UM_PER_PX, seed)[0] for seed in range(6)]
    windows = [image[y : y + SIDE_PX, x : x + SIDE_PX] for image in images for y, x in CORNERS]
    write_scope(fit_scope([measure_appearance(window)[None] for window in windows], "synthetic"), path)
    return check_model(path, "--model")


def infer(image: NDArray[np.uint8], model: ModelFile, out: Path, said: list[str]) -> Result:
    out.mkdir()
    write_slide(out / "a.tif", image, UM_PER_PX)
    with CpuSession(model.path, threads=1) as session:
        settings = InferSettings(write=("csv",))
        return infer_slide(out / "a.tif", session, model, settings, warn=said.append)


def read_scope_of(result: Result) -> dict[str, float]:
    scope: dict[str, float] = json.loads(result.outputs[-1].read_text(encoding="utf-8"))["scope"]
    return scope


def test_familiar_tissue_is_recorded_without_a_warning(model: ModelFile, tmp_path: Path) -> None:
    image, _ = draw_slide(800, 700, UM_PER_PX, 3)
    said: list[str] = []
    scope = read_scope_of(infer(image, model, tmp_path / "out", said))
    assert scope["stain"] <= scope["stain_limit"]
    assert scope["windows"] >= 4
    assert not any("unlike" in line for line in said)


def test_false_colors_warn_before_the_windows_run(model: ModelFile, tmp_path: Path) -> None:
    image, _ = draw_slide(800, 700, UM_PER_PX, 3)
    said: list[str] = []
    result = infer(np.ascontiguousarray(image[..., [1, 0, 2]]), model, tmp_path / "out", said)
    scope = read_scope_of(result)
    assert scope["stain"] > scope["stain_limit"]
    assert [line for line in said if "colors unlike" in line] == [
        line for line in result.warnings if "colors unlike" in line
    ]
    assert any("colors unlike" in line for line in said)


def test_a_model_without_a_scope_has_no_figure(model: ModelFile, tmp_path: Path, red_model: Path) -> None:
    bare = replace(model, path=red_model)
    image, _ = draw_slide(400, 400, UM_PER_PX, 3)
    assert read_scope_of(infer(image, bare, tmp_path / "out", [])) is None


def test_a_slide_without_tissue_has_no_figure(model: ModelFile, tmp_path: Path) -> None:
    result = infer(np.full((600, 600, 3), 255, np.uint8), model, tmp_path / "out", [])
    assert read_scope_of(result) is None
