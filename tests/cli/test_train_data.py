"""`glandseg train` and `evaluate` on data with faults: refused before any work, or told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from glandseg.model.card import ModelCard

RunCommand = Callable[..., Any]
WriteModel = Callable[[Path, dict[str, str]], Path]
CARD = ModelCard(name="red", network="one slice", tissue="drawings", um_per_px=0.62, weights_sha256="")
SHORT = [
    "classifier.fit.steps=1",
    "segmenter.fit.steps=1",
    "classifier.input=32",
    "segmenter.crop=32",
    "segmenter.synthetic=0",
]
SMALL = [word for name in (*SHORT, "segmenter.width=4", "curves=false") for word in ("--set", name)]


def write(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imencode(path.suffix, pixels)[1].tofile(path)


@pytest.fixture
def patches(tmp_path: Path) -> Path:
    """Eight patches of four patients, of which every third has an outline mask."""
    rng = np.random.default_rng(0)
    rows = ["file,gland,non_gland,Patient_ID,mask"]
    for index in range(8):
        write(tmp_path / "data" / f"{index}.png", rng.integers(0, 200, (40, 40, 3), np.uint8))
        rows.append(f"{index}.png,1,1,P{index % 4},{'mask.png' if index % 4 != 1 else ''}")
    write(tmp_path / "data" / "mask.png", np.eye(40, dtype=np.uint8) * 255)
    (tmp_path / "data" / "patches.csv").write_text("\n".join(rows))
    return tmp_path / "data"


@pytest.fixture
def outlined(tmp_path: Path) -> Path:
    """Three images, red where the mask is; the third has no mask."""
    for index in range(3):
        truth = np.zeros((90, 100), np.uint8)
        truth[20:60, 10 * index : 10 * index + 40] = 255
        write(tmp_path / "data" / "images" / f"{index}.png", np.dstack([truth * 0, truth * 0, truth]))
        if index < 2:
            write(tmp_path / "data" / "masks" / f"{index}.png", truth)
    return tmp_path / "data"


def test_masks_on_some_rows_train_to_the_end(patches: Path, tmp_path: Path, run_command: RunCommand) -> None:
    out = tmp_path / "run"
    outcome = run_command("train", patches, "--mpp", 0.62, "--out", out, "--threads", 1, *SMALL)
    assert outcome.code == 0, outcome.err
    assert (out / "run.json").is_file() and not (out / "lock").exists()
    assert any("all patches to learn from are labelled alike" in line for line in outcome.out)
    parts = {line.split(",")[1]: line.split(",")[2] for line in (out / "split.csv").read_text().split()[1:]}
    assert set(parts) == {"P0", "P1", "P2", "P3"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--mpp", "8"], "would work at 8 um/px; it is trained between 0.1 and 4"),
        (["--mpp", "-1"], "error: --mpp: above 0. Received: -1.0"),
        (["--mpp", "nan"], "error: --mpp: above 0. Received: nan"),
        (["--labels", "boxes"], "error: --labels: one of patches, outlines, none. Received: boxes"),
        (["--threads", "1000000"], "--threads"),
        (["--weights", "lost.pth", "--mpp", "1"], "lost.pth: no such weights file"),
        (["--set", "start_from=lost", "--mpp", "1"], "lost: not a run folder"),
        (["--labels", "outlines", "--mpp", "1"], "2 of 8 images have no outline mask"),
        (["--set", "segmenter.fit.momentum=5"], "segmenter.fit.momentum: at most 0.9999"),
    ],
)
def test_refused_before_any_work(
    patches: Path, tmp_path: Path, run_command: RunCommand, words: list[str], message: str
) -> None:
    outcome = run_command("train", patches, "--out", tmp_path / "run", *words)
    assert outcome.code == 2 and len(outcome.err) == 1 and message in outcome.err[0]
    assert not (tmp_path / "run").exists()


def test_a_folder_in_use_is_an_environment_fault(
    patches: Path, tmp_path: Path, run_command: RunCommand
) -> None:
    from glandseg.training.run import hold_run

    with hold_run(tmp_path / "run"):
        outcome = run_command("train", patches, "--mpp", 1, "--out", tmp_path / "run", "--threads", 1)
    assert outcome.code == 3 and "another glandseg trains in this folder" in outcome.err[-1]


def test_evaluate_tells_what_it_leaves_out(
    outlined: Path, tmp_path: Path, write_model: WriteModel, run_command: RunCommand
) -> None:
    write(outlined / "images" / "deep" / "4.png", np.zeros((9, 9, 3), np.uint8))
    model = write_model(tmp_path / "m.onnx", CARD.to_metadata())
    words = ["evaluate", outlined, model, "--part", "all", "--mpp", 0.62, "--out", tmp_path / "s.md"]
    outcome = run_command(*words)
    assert outcome.code == 0, outcome.err
    assert "note: 1 of 3 images without a mask is left out: 2" in outcome.err
    text = (tmp_path / "s.md").read_text(encoding="utf-8")
    assert "1 of 3 images without a mask is left out: 2." in text and "deep/4.png" in text


def test_evaluate_tells_masks_of_one_class(
    outlined: Path, tmp_path: Path, write_model: WriteModel, run_command: RunCommand
) -> None:
    for index in range(2):
        write(outlined / "masks" / f"{index}.png", np.zeros((90, 100), np.uint8))
    model = write_model(tmp_path / "m.onnx", CARD.to_metadata())
    outcome = run_command("evaluate", outlined, model, "--part", "all", "--mpp", 0.62)
    assert outcome.code == 0, outcome.err
    assert "no mask marks any gland: all are empty. Check them." in outcome.out


def test_evaluate_needs_masks(patches: Path, tmp_path: Path, run_command: RunCommand) -> None:
    table = patches / "patches.csv"
    table.write_text(table.read_text().replace("mask.png", ""))
    outcome = run_command("evaluate", patches, "--mpp", 0.62)
    assert outcome.code == 2 and "no image has an outline mask" in outcome.err[-1]
