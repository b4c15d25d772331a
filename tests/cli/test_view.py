"""`glandseg view`: serves until it is interrupted; refuses what is not of the slide."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import cv2
import numpy as np
import pytest

from tests.conftest import DrawDisks, RunCommand


@pytest.fixture
def slide(tmp_path: Path, draw_disks: DrawDisks) -> Path:
    cv2.imwrite(str(tmp_path / "a.png"), draw_disks(900, 700, [(400.0, 300.0, 120.0)], []))
    return tmp_path / "a.png"


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process on Windows")
def test_it_serves_until_ctrl_c(slide: Path, red_model: Path, run_command: RunCommand) -> None:
    assert run_command("infer", slide, "--model", red_model, "--mpp", "0.5").code == 0
    program = [sys.executable, "-m", "glandseg", "view", str(slide), "--no-browser"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        url = next(word for word in line.split() if word.startswith("http://127.0.0.1:"))
        with urllib.request.urlopen(url, timeout=10) as answer:
            assert b"glandseg report" in answer.read(2000)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=30)
    assert (process.returncode, rest) == (0, "ended\n")


def test_a_slide_without_report_is_refused(slide: Path, red_model: Path, run_command: RunCommand) -> None:
    run_command("infer", slide, "--model", red_model, "--mpp", "0.5", "--no-report")
    outcome = run_command("view", slide)
    assert outcome.code == 2
    assert "a.report.html: no such file. Run `glandseg infer a.png` first" in outcome.err[-1]


def test_a_report_of_another_slide_is_refused(slide: Path, red_model: Path, run_command: RunCommand) -> None:
    run_command("infer", slide, "--model", red_model, "--mpp", "0.5")
    cv2.imwrite(str(slide), np.full((700, 900, 3), 90, np.uint8))
    outcome = run_command("view", slide)
    assert outcome.code == 2
    assert "is of another slide, or of an older state of a.png" in outcome.err[-1]


def test_a_missing_slide_is_refused(tmp_path: Path, run_command: RunCommand) -> None:
    outcome = run_command("view", tmp_path / "none.svs")
    assert outcome.code == 2
    assert "none" in outcome.err[-1]
