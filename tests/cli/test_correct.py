"""`glandseg adapt --corrections`: what is better is exported, what is not is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.training.correction import Correction
from glandseg.training.run import Run

RunCommand = Callable[..., Any]
SCORES = {"images": 9, "dice": 80.0, "miou": 70.0, "object_f1": 60.0}


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[object]:
    """Corrections that were exported; what is learned and written is replaced."""
    made: list[object] = []

    def export(run: Run, facts: object, say: object) -> SimpleNamespace:
        made.append(facts)
        return SimpleNamespace(artifacts=[SimpleNamespace(path=tmp_path / "m.onnx")])

    monkeypatch.setattr("glandseg.export.run_export.export_run", export)
    return made


def learn(monkeypatch: pytest.MonkeyPatch, dice: float, folder: Path) -> None:
    def learn_corrections(*arguments: object, **options: object) -> Correction:
        return Correction(
            run=Run(folder), before=SCORES, after={**SCORES, "dice": dice}, facts={"tissue": "colon"}
        )

    monkeypatch.setattr("glandseg.training.correction.learn_corrections", learn_corrections)


def test_a_better_model_is_exported(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, run_command: RunCommand, exported: list[object]
) -> None:
    learn(monkeypatch, 85.0, tmp_path)
    done = run_command("adapt", "--corrections", tmp_path)
    assert done.code == 0
    assert "Dice: 80.0 % before, 85.0 % after" in done.out
    assert done.out[-1] == f"next: glandseg infer slide.tif --model {tmp_path / 'm.onnx'}"
    assert exported == [{"tissue": "colon"}]


@pytest.mark.parametrize("dice", [79.0, 80.0])
def test_what_is_not_better_is_not_exported(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    run_command: RunCommand,
    exported: list[object],
    dice: float,
) -> None:
    learn(monkeypatch, dice, tmp_path)
    done = run_command("adapt", "--corrections", tmp_path)
    assert done.code == 1
    assert done.err[-1].startswith("not better: ")
    assert exported == []


def test_what_cannot_be_asked(tmp_path: Path, run_command: RunCommand) -> None:
    for words in (("--corrections", tmp_path, "run", "data"), (), ("run",)):
        done = run_command("adapt", *words)
        assert done.code == 2
    done = run_command("adapt", "--corrections", tmp_path / "none")
    assert (done.code, len(done.err)) == (2, 1)
    assert "no such file or folder" in done.err[0]
