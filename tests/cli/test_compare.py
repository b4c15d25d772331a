"""`glandseg compare` from the command line: what it says of bad input, and that a run stopped is resumed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from glandseg.cli.main import run
from glandseg.training.data.image_file import encode_png

FAST = [
    *("--set", "classifier.fit.steps=1", "--set", "segmenter.fit.steps=1", "--set", "classifier.input=32"),
    *("--set", "segmenter.crop=32", "--set", "segmenter.width=8", "--set", "curves=false"),
    *("--set", "segmenter.fit.batch=2", "--set", "classifier.fit.batch=2", "--threads", "1"),
]


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    folder = tmp_path / "tiles"
    folder.mkdir()
    for index in range(10):
        image, mask = np.full((64, 64, 3), 40 + index, np.uint8), np.zeros((64, 64), np.uint8)
        image[:, 32:, 0], mask[:, 32:] = 200, 1
        encode_png(folder / f"tile{index}.png", image)
        encode_png(folder / f"tile{index}_anno.png", mask)
    return folder


def test_tables_are_printed_and_written(
    tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["compare", str(tiles), "--methods", "cam, outlines", "--out", str(out), *FAST]) == 0
    text = capsys.readouterr().out
    assert "| CAM (Zhou et al. 2016) | 1 |" in text and str(out / "comparison.md") in text
    assert (out / "cam" / "seed-0" / "segmenter.safetensors").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--methods", "gap"], "--methods: all, outlines, cam, "),
        (["--methods", ""], "--methods: one or more"),
        (["--set", "classifier.steps=1"], "no setting classifier.steps"),
        (["--preset", "none"], "--preset: one of edge, "),
    ],
)
def test_bad_input_is_one_line(
    tiles: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run(["compare", str(tiles), "--out", str(tmp_path / "out"), *arguments]) == 2
    errors = capsys.readouterr().err.strip().splitlines()
    assert len(errors) == 1 and message in errors[0]
    assert not (tmp_path / "out").exists()
