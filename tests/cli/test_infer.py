"""`glandseg infer` from the command line: what it writes, prints and exits with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.card import ModelCard
from glandseg.model.separation import Separation
from glandseg.runtime.outputs.write import SUFFIXES
from glandseg.synthetic import write_slide

Pixels = NDArray[np.uint8]
Run = Callable[..., Any]


@pytest.fixture
def slide(tmp_path: Path, draw_disks: Callable[..., Pixels]) -> Path:
    """A slide of one gland that knows its um/px."""
    path = tmp_path / "one.tif"
    write_slide(path, draw_disks(600, 500, [(300.0, 240.0, 100.0)]), 0.5)
    return path


def list_outputs(slide: Path, out: Path) -> list[Path]:
    return [out / (slide.stem + suffix) for suffix in SUFFIXES]


def test_outputs_lie_beside_the_slide(slide: Path, red_model: Path, run_command: Run) -> None:
    outcome = run_command("infer", slide, "--model", red_model, "--device", "cpu")
    assert outcome.code == 0
    assert outcome.err == []
    assert all(path.is_file() for path in list_outputs(slide, slide.parent))
    assert outcome.out[0].startswith("model: red is gland (--model), learned on drawings; ONNX Runtime")
    assert outcome.out[1].startswith("one.tif: tiff, 600 x 500 px at 0.5 um/px (TIFF resolution tags)")
    assert outcome.out[2].startswith("1 window; about ")
    assert outcome.out[3].startswith("one.tif: 1 gland, 0.008 mm2 of 0.078 mm2 tissue, in ")
    assert outcome.out[3].endswith("% of the time")
    assert [line.strip() for line in outcome.out[4:]] == [
        str(path) for path in list_outputs(slide, slide.parent)
    ]


def test_out_is_made(slide: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    out = tmp_path / "new" / "folder"
    assert run_command("infer", slide, "--model", red_model, "--out", out).code == 0
    assert sorted(out.iterdir()) == sorted(list_outputs(slide, out))
    assert sorted(tmp_path.iterdir()) == [tmp_path / "new", slide]


def test_every_option_is_taken(slide: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    options = {
        "--model": red_model,
        "--out": tmp_path / "out",
        "--mpp": 0.4,
        "--scales": "0.75,1.5",
        "--threshold": 0.4,
        "--min-gland-um2": 10,
        "--min-lumen-um2": 10,
        "--device": "cpu",
        "--batch": 2,
        "--threads": 1,
        "--max-ram": 1.5,
        "--max-unread": 0.5,
        "--csv-decimal": ",",
        "--profile": tmp_path / "trace.json",
    }
    words = [word for pair in options.items() for word in pair]
    outcome = run_command("infer", slide, *words, "--no-tissue-mask", "--flips")
    assert outcome.code == 0
    events = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    assert {event["ph"] for event in events} == {"M", "X"}
    assert any(line.startswith("network ") for line in outcome.out)
    assert (tmp_path / "out" / "one.glands.csv").read_text(encoding="utf-8").startswith("slide;id;number;")
    record = (tmp_path / "out" / "one.run.json").read_text(encoding="utf-8")
    for fact in (
        '"threshold": 0.4',
        '"mpp": 0.4',
        '"batch": 2',
        '"flips": true',
        '"max_ram_gib": 1.5',
        '"max_unread": 0.5',
        '"csv_decimal": ","',
        '"tissue_mask": false',
        '"min_gland_um2": 10.0',
    ):
        assert fact in record


@pytest.fixture
def touching(tmp_path: Path) -> Path:
    """A slide of two glands, red, whose pale borders touch."""
    image = np.full((500, 700, 3), 90, np.uint8)
    image[100:400, 100:600, 0] = 150
    image[130:370, 130:330, 0] = image[130:370, 370:570, 0] = 255
    write_slide(tmp_path / "two.tif", image, 0.5)
    return tmp_path / "two.tif"


@pytest.mark.parametrize(
    ("option", "said", "found"),
    [
        (
            "--separate",
            "touching glands: told apart, seeds where p(gland) is at least 0.8, grown by at most 30 um "
            "inside the gland mask",
            "two.tif: 2 glands (1 with those that touch as one), ",
        ),
        ("--no-separate", "touching glands: one gland, by --no-separate", "two.tif: 1 gland, "),
    ],
)
def test_touching_glands_are_told_apart_as_the_card_says(
    option: str, said: str, found: str, touching: Path, write_model: Callable[..., Path], run_command: Run
) -> None:
    rule = Separation(channel="gland", threshold=0.8, reach_um=30.0)
    card = ModelCard(
        name="red", network="", tissue="drawings", um_per_px=1.4, weights_sha256="", separation=rule
    )
    model = write_model(touching.with_name("red.onnx"), card.to_metadata())
    outcome = run_command("infer", touching, "--model", model, "--device", "cpu", option)
    assert outcome.code == 0
    assert outcome.out[1] == said
    assert outcome.out[4].startswith(found)
    record = json.loads(touching.with_name("two.run.json").read_text(encoding="utf-8"))
    assert (record["separation"] is None) == (option == "--no-separate")


def test_the_newest_export_is_taken_by_default(
    slide: Path,
    tmp_path: Path,
    write_model: Callable[..., Path],
    red_model: Path,
    run_command: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for age, name in enumerate(["new", "old"]):
        folder = tmp_path / "models" / name
        folder.mkdir(parents=True)
        (folder / f"{name}.onnx").write_bytes(red_model.read_bytes())
        os.utime(folder / f"{name}.onnx", (1e9 - age, 1e9 - age))
    write_model(tmp_path / "models" / "old" / "old.onnx", {})
    os.utime(tmp_path / "models" / "old" / "old.onnx", (1e9 - 1, 1e9 - 1))
    outcome = run_command("infer", slide)
    assert outcome.code == 0
    assert any("(newest export)" in line for line in outcome.out)


def test_one_bad_slide_does_not_stop_the_others(
    slide: Path, tmp_path: Path, red_model: Path, run_command: Run
) -> None:
    bad = tmp_path / "bad.svs"
    bad.write_text("text\n", encoding="utf-8")
    last = tmp_path / "last.tif"
    last.write_bytes(slide.read_bytes())
    outcome = run_command("infer", slide, bad, last, "--model", red_model)
    assert outcome.code == 1
    assert all(path.is_file() for one in (slide, last) for path in list_outputs(one, tmp_path))
    assert len(outcome.err) == 2
    assert outcome.err[0].startswith(f"error: {bad}: holds no slide")
    assert outcome.err[1] == "1 of 3 slides failed"


def test_warnings_go_to_stderr(tmp_path: Path, red_model: Path, run_command: Run) -> None:
    path = tmp_path / "white.png"
    cv2.imwrite(str(path), np.full((1500, 1500, 3), 255, np.uint8))
    outcome = run_command("infer", path, "--model", red_model, "--mpp", 0.5)
    assert outcome.code == 0
    assert [line[:41] for line in outcome.err] == ["warning: white.png: no tissue found: an e"]


def test_patterns_are_expanded(slide: Path, tmp_path: Path, red_model: Path, run_command: Run) -> None:
    """As cmd.exe leaves them to programs."""
    other = tmp_path / "two.tif"
    other.write_bytes(slide.read_bytes())
    out = tmp_path / "out"
    assert run_command("infer", tmp_path / "*.tif", "--model", red_model, "--out", out).code == 0
    assert {*list_outputs(slide, out), *list_outputs(other, out)} < {*out.iterdir()}


def test_a_dicom_series_is_one_slide(
    slide: Path, tmp_path: Path, red_model: Path, run_command: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    label = tmp_path / "label.dcm"
    monkeypatch.setattr("glandseg.cohort.find_slides.find_repeats", lambda paths: {label: slide})
    done = run_command("infer", label, slide, "--mpp", "0.5", "--model", red_model, "--out", tmp_path / "out")
    assert done.code == 0
    assert f"{label}: left out, of the same DICOM series as {slide.name}" in done.err
    assert list_outputs(slide, tmp_path / "out")


def test_a_slide_may_be_named_with_brackets(slide: Path, red_model: Path, run_command: Run) -> None:
    odd = slide.rename(slide.with_name("µ [1] ü.tif"))
    assert run_command("infer", odd, "--model", red_model).code == 0
    assert all(path.is_file() for path in list_outputs(odd, odd.parent))


def test_the_module_runs(slide: Path, tmp_path: Path, red_model: Path) -> None:
    words = ["infer", str(slide), "--model", str(red_model), "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "glandseg", *words], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert sorted((tmp_path / "out").iterdir()) == sorted(list_outputs(slide, tmp_path / "out"))


def test_int8_is_taken_where_it_is_and_asked_for_where_not(
    slide: Path, tmp_path: Path, red_model: Path, run_command: Run
) -> None:
    model = tmp_path / "m" / "small.onnx"
    model.parent.mkdir()
    model.write_bytes(red_model.read_bytes())
    refused = run_command("infer", slide, "--model", model, "--int8")
    assert refused.code == 2
    assert "no int8 file of this model. Write it with `glandseg export --int8`" in refused.err[0]
    model.with_name("small.int8.onnx").write_bytes(red_model.read_bytes())
    model.write_bytes(b"not this one")
    assert run_command("infer", slide, "--model", model, "--int8", "--device", "cpu").code == 0


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (("--precision", "bf16"), "--precision: one of auto, float32, float16, int8. Received: bf16."),
        (
            ("--precision", "float16", "--int8"),
            "--int8: means --precision int8. Received: --precision float16. Leave one of the two out.",
        ),
    ],
)
def test_a_precision_that_cannot_be(
    slide: Path, red_model: Path, run_command: Run, asked: tuple[str, ...], message: str
) -> None:
    outcome = run_command("infer", slide, "--model", red_model, *asked)
    assert outcome.code == 2
    assert outcome.err == [f"error: {message}"]


def test_the_choice_of_the_bundled_model_is_said_and_recorded(
    slide: Path, tmp_path: Path, run_command: Run
) -> None:
    outcome = run_command("infer", slide, "--device", "cpu", "--out", tmp_path)
    assert outcome.code == 0
    choice = "float32, for this CPU has no known dot products of 8-bit numbers"
    assert f"precision: {choice}" in outcome.out
    record = json.loads((tmp_path / "one.run.json").read_text(encoding="utf-8"))
    assert record["model"]["choice"] == choice
    assert record["model"]["card"]["precision"] == "float32"
    named = run_command("infer", slide, "--device", "cpu", "--out", tmp_path, "--precision", "int8")
    assert named.code == 0
    assert not any(line.startswith("precision: ") for line in named.out)
    record = json.loads((tmp_path / "one.run.json").read_text(encoding="utf-8"))
    assert (record["model"]["choice"], record["model"]["card"]["precision"]) == ("", "int8")
