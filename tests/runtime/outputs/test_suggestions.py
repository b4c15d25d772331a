"""The suggested regions as QuPath reads them, from the map of a whole run to the record."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from glandseg.runtime.annotations.geojson import read_annotations
from tests.conftest import RunCommand


@pytest.fixture
def slide(tmp_path: Path) -> Path:
    """Draw a slide that is sure, red or blue, but for a square of half red, 500 um wide."""
    image = np.zeros((1800, 2400, 3), np.uint8)
    image[..., 0], image[..., 2] = 255, 0
    image[300:900, 200:800, 2] = 255
    image[800:1600, 1400:2200, 2] = 128
    cv2.imwrite(str(tmp_path / "a.png"), image)
    return tmp_path / "a.png"


def test_they_are_written_recorded_and_read_back(
    slide: Path, red_model: Path, run_command: RunCommand
) -> None:
    arguments = ("--model", red_model, "--mpp", "0.625", "--no-tissue-mask", "--scales", "1")
    assert run_command("infer", slide, *arguments, "--suggest", "2").code == 0
    path = slide.with_name("a.suggested.geojson")
    first, *_ = features = json.loads(path.read_text(encoding="utf-8"))["features"]
    assert [feature["properties"]["name"] for feature in features] == ["Suggestion 1", "Suggestion 2"]
    assert first["properties"]["classification"]["name"] == "Region*"
    assert first["properties"]["measurements"]["Mean uncertainty"] > 0.9
    assert shape(first["geometry"]).intersection(shapely.box(1400, 800, 2200, 1600)).area > 0.8 * 800**2
    assert len({feature["id"] for feature in features}) == 2
    assert [annotation.names for annotation in read_annotations(path)] == [("Region*",)] * 2
    record = json.loads(slide.with_name("a.run.json").read_text(encoding="utf-8"))
    assert record["suggestions"][0]["uncertainty"] == first["properties"]["measurements"]["Mean uncertainty"]
    report = slide.with_name("a.report.html").read_text(encoding="utf-8")
    assert f'"uncertainty": {record["suggestions"][0]["uncertainty"]}' in report


def test_without_the_option_none_is_written(slide: Path, red_model: Path, run_command: RunCommand) -> None:
    assert run_command("infer", slide, "--model", red_model, "--mpp", "0.625").code == 0
    assert not slide.with_name("a.suggested.geojson").exists()


@pytest.mark.parametrize("number", ["-1", "1001"])
def test_numbers_out_of_bounds_are_refused(
    number: str, slide: Path, red_model: Path, run_command: RunCommand
) -> None:
    outcome = run_command("infer", slide, "--model", red_model, "--suggest", number)
    assert (outcome.code, "--suggest: 0 to 1000" in outcome.err[-1]) == (2, True)
