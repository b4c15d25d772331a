from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.system import hash_file
from glandseg.model.files import BUNDLED

Run = Callable[..., Any]


def test_the_bundled_model_is_fine(run_command: Run) -> None:
    outcome = run_command("verify")
    assert outcome.code == 0, outcome.err
    single, half, int8 = outcome.out
    assert single == f"{BUNDLED.name}: float32, whole; its export compared it with PyTorch"
    assert half.startswith("glandseg-colon.fp16.onnx: float16, whole, within 0.0")
    assert int8.startswith("glandseg-colon.int8.onnx: int8, whole, within 0.")


def test_json(red_model: Path, run_command: Run) -> None:
    files = {red_model.name: {"sha256": hash_file(red_model)}}
    red_model.with_suffix(".json").write_text(json.dumps({"files": files}), encoding="utf-8")
    outcome = run_command("verify", red_model, "--json")
    assert outcome.code == 0
    (told,) = json.loads("\n".join(outcome.out))["files"]
    assert (told["file"], told["state"]) == ("red.onnx", "fine")


def test_a_file_that_is_not_fine(tmp_path: Path, run_command: Run) -> None:
    (tmp_path / BUNDLED.name).write_bytes(BUNDLED.read_bytes()[:-9])
    (tmp_path / BUNDLED.with_suffix(".json").name).write_bytes(BUNDLED.with_suffix(".json").read_bytes())
    outcome = run_command("verify", tmp_path / BUNDLED.name)
    assert outcome.code == 4 and not outcome.err
    assert len(outcome.out) == 1 and "FAILED: its sha256 is" in outcome.out[0]


def test_no_such_file(tmp_path: Path, run_command: Run) -> None:
    outcome = run_command("verify", tmp_path / "none.onnx")
    assert outcome.code == 2 and len(outcome.err) == 1 and "no such model file" in outcome.err[0]


def test_no_such_run(tmp_path: Path, run_command: Run) -> None:
    pytest.importorskip("torch")
    outcome = run_command("verify", "--run", tmp_path)
    assert outcome.code == 2 and "not a run folder" in outcome.err[0]
