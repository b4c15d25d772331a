"""`glandseg infer` when things go wrong midway: told in a line, nothing lost, the right exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.outputs.write import SUFFIXES
from glandseg.runtime.tiling.window_store import WindowStore
from glandseg.synthetic import draw_slide, write_slide

Pixels = NDArray[np.uint8]
Run = Callable[..., Any]


@pytest.fixture
def slide(tmp_path: Path, draw_disks: Callable[..., Pixels]) -> Path:
    """Draw a slide of some rows of windows."""
    path = tmp_path / "disks.tif"
    write_slide(path, draw_disks(1800, 1500, [(600.0, 500.0, 200.0), (1300.0, 1100.0, 90.0)]), 0.7)
    return path


def list_outputs(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("disks*") if path.name != "disks.tif")


def fail_after(calls: int, function: Callable[..., Any], error: BaseException) -> Callable[..., Any]:
    """Let a function work some times, then raise."""
    left = [calls]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        left[0] -= 1
        if left[0] < 0:
            raise error
        return function(*arguments, **options)

    return wrapped


def test_a_disk_that_fills_up_midway(
    slide: Path, red_model: Path, run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")
    with monkeypatch.context() as patch:
        patch.setattr(WindowStore, "append", fail_after(21, WindowStore.append, full))
        outcome = run_command("infer", slide, "--model", red_model)
    assert outcome.code == 3
    assert [line for line in outcome.err if "disk is full" in line] == outcome.err[-1:]
    assert list_outputs(slide.parent) == []
    again = run_command("infer", slide, "--model", red_model)
    assert again.code == 0
    assert any("kept from before" in line for line in again.out)
    assert len(list_outputs(slide.parent)) == len(SUFFIXES)


def test_a_drive_that_fails_while_reading(
    slide: Path, red_model: Path, run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glandseg.slides.formats.tiff import TiffSlide
    from glandseg.slides.retry import RetryPolicy

    monkeypatch.setattr(TiffSlide, "retry_policy", RetryPolicy(0))
    broken = fail_after(4, TiffSlide._read, OSError(5, "Input/output error"))
    monkeypatch.setattr(TiffSlide, "_read", broken)
    monkeypatch.setattr(TiffSlide, "_reread", broken)
    outcome = run_command("infer", slide, "--model", red_model)
    assert outcome.code == 2
    assert "of the tissue cannot be read" in outcome.err[-1]
    assert "Input/output error" in outcome.err[-1]
    assert list_outputs(slide.parent) == []


@pytest.mark.parametrize(
    ("error", "code"), [(RuntimeError("the network broke"), 4), (MemoryError("no room"), 3)]
)
def test_a_network_that_raises_midway(
    error: Exception,
    code: int,
    slide: Path,
    red_model: Path,
    run_command: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from glandseg.model.onnx.cpu import CpuSession

    monkeypatch.setattr(CpuSession, "infer", fail_after(3, CpuSession.infer, error))
    outcome = run_command("infer", slide, "--model", red_model, "--device", "cpu", "--batch", 2)
    assert outcome.code == code
    assert len([line for line in outcome.err if line.startswith("error: ")]) == 1
    assert list_outputs(slide.parent) == []


def test_a_network_that_stalls(
    slide: Path, red_model: Path, run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glandseg.model.onnx.cpu import CpuSession

    def stall(windows: Pixels) -> Pixels:
        time.sleep(3)
        raise AssertionError("nobody waits for this")

    plain, calls = CpuSession.infer, [0]

    def infer(self: CpuSession, windows: Pixels) -> Pixels:
        calls[0] += 1
        return plain(self, windows) if calls[0] < 4 else stall(windows)

    monkeypatch.setattr(CpuSession, "infer", infer)
    monkeypatch.setattr("glandseg.runtime.slide_windows.STALL_S", 1.0)
    outcome = run_command("infer", slide, "--model", red_model, "--device", "cpu", "--batch", 2)
    assert outcome.code == 3
    assert "the network has not answered for 1 s" in outcome.err[-1]
    assert list_outputs(slide.parent) == []


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C cannot be sent to one process there")
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "disks.tif"
    write_slide(path, draw_slide(3072, 3072, 0.5, 3)[0], 0.5)
    command = [sys.executable, "-m", "glandseg", "infer", str(path), "--batch", "1", "--threads", "1"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    store = tmp_path / ".disks.glandseg" / "finished.windows"
    while process.poll() is None and not (store.exists() and store.stat().st_size > 20_000):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert told.splitlines()[-2:] == [
        "disks.tif: finished windows are kept; to resume, repeat the command",
        "stopped",
    ]
    with WindowStore(store) as kept:
        assert any(key.plane == 0 for key in kept)
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 0
    assert "kept from before" in again.stdout
    record = json.loads((tmp_path / "disks.run.json").read_text(encoding="utf-8"))
    assert record["result"]["windows"] > 4
    assert not (tmp_path / ".disks.glandseg").exists()
