"""A fit's log becomes an image, or a line that says why not."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from glandseg.training.data.decoding import read_rgb
from glandseg.training.loop.curves import draw_curves
from glandseg.training.loop.logs import log_row


def write_log(folder: Path) -> Path:
    for step in (1, 2):
        log_row(folder / "net.csv", {"step": step, "loss": 1 / step, "miou": 40.0 + step})
    return folder / "net.csv"


def test_every_column_gets_a_curve(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw_curves(write_log(tmp_path)) == f"{tmp_path / 'net.png'}: curves"
    assert read_rgb(tmp_path / "net.png").shape == (360, 700, 3)


def test_without_matplotlib_it_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("matplotlib.figure", "matplotlib.backends.backend_agg"):
        monkeypatch.setitem(sys.modules, name, None)
    assert "no curves drawn, matplotlib is not installed" in draw_curves(write_log(tmp_path))
    assert not (tmp_path / "net.png").exists()
