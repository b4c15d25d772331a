"""The demo finds the glands that it drew, with the model that ships."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

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
