"""The demo finds the glands that it drew, with the model that ships."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tifffile

from glandseg.cli import demo as module


def test_the_bundled_model_finds_drawn_glands(
    run_command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIDE_PX", 2048)
    outcome = run_command("demo", "--out", str(tmp_path / "demo"))
    assert outcome.code == 0, outcome.err
    (dice,) = [float(line.rpartition(" ")[2]) for line in outcome.out if line.startswith("Dice")]
    assert 0.9 < dice < 1
    assert (tmp_path / "demo" / "demo.overview.png").is_file()
    assert not outcome.err


def test_the_real_slide_is_run_too(
    run_command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SIDE_PX", 1024)
    assert run_command("demo", "--out", str(tmp_path)).code == 0
    record = json.loads((tmp_path / "colon.run.json").read_text(encoding="utf-8"))
    assert 60 < record["result"]["glands"] < 110  # 86 are seen, with those that the edges cut
    assert record["result"]["warnings"] == []
    assert (tmp_path / "colon.report.html").is_file()


def test_the_real_slide_names_its_source_and_is_small() -> None:
    assert module.REAL_SLIDE.stat().st_size < 1.5e6
    with tifffile.TiffFile(module.REAL_SLIDE) as tiff:
        assert "Pathology Atlas" in tiff.pages.first.description
    assert "CC BY 4.0" in module.REAL_SLIDE.with_name("ATTRIBUTION.txt").read_text(encoding="utf-8")
