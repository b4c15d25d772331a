"""`glandseg inspect` from the command line."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from glandseg.doctor import devices
from glandseg.doctor.finding import ok, problem
from glandseg.model.card import CLASSES_WITH_CORE, ModelCard
from glandseg.model.separation import Separation
from glandseg.model.tensorrt.fingerprint import write_fingerprint_file
from tests.model.tensorrt.fingerprints import FINGERPRINT

Run = Callable[..., Any]


@pytest.fixture(autouse=True)
def tried(monkeypatch: pytest.MonkeyPatch) -> None:
    findings = [ok("cpu", "runs: it"), problem("cuda", "cuda: not here", "Do this.")]
    monkeypatch.setattr(devices, "try_devices", lambda path: findings)


def read_rows(lines: list[str]) -> dict[str, str]:
    return {line[:11].strip(): line[11:] for line in lines if line[:11].strip()}


def test_the_bundled_model_by_default(run_command: Run) -> None:
    outcome = run_command("inspect")
    assert (outcome.code, outcome.err) == (0, [])
    rows = read_rows(outcome.out)
    assert rows["file"].startswith("glandseg-colon.onnx, 10.7 MB; glandseg-colon.json agrees")
    assert rows["pixels"] == "1.3 um/px, windows of 320 px every 256 px, scales 1.25"
    assert rows["classes"] == "non-gland, gland, core"
    assert rows["separation"].startswith("seeds where p(core) is at least 0.5")
    assert "CC BY 4.0" in rows["training"]
    assert rows["scores"].endswith("mIoU 84.92 %, F1 91.79 %")
    assert rows["graph"] == "opset 20, 2.65 million weights, 2.61 GFLOP per window"
    assert rows["layers"].strip() == "62 Conv float32, 2.603 GFLOP"
    assert rows["runs on"] == "cpu       runs: it"
    assert outcome.out[-1].strip() == "cuda      does not run: not here Do this."
    assert "Not for use in diagnostic procedures" in rows["use"]


def test_json_holds_the_same(run_command: Run) -> None:
    outcome = run_command("inspect", "--json")
    facts = json.loads("\n".join(outcome.out))
    assert facts["card"]["um_per_px"] == 1.3
    assert facts["graph"]["gflop"] == pytest.approx(2.61, abs=0.01)
    assert [one["level"] for one in facts["devices"]] == ["ok", "problem"]
    assert facts["name"] == "glandseg-colon.onnx"


def test_core_and_the_rule_of_separation_are_shown(
    run_command: Run, tmp_path: Path, write_model: Callable[..., Path]
) -> None:
    card = ModelCard(
        name="green is core",
        network="",
        tissue="",
        um_per_px=1.4,
        weights_sha256="",
        classes=CLASSES_WITH_CORE,
        separation=Separation(channel="core", threshold=0.5, reach_um=10.0),
    )
    path = write_model(tmp_path / "m.onnx", card.to_metadata(), core=True)
    rows = read_rows(run_command("inspect", path).out)
    assert rows["classes"] == "non-gland, gland, core"
    assert rows["separation"] == (
        "seeds where p(core) is at least 0.5, grown by at most 10 um inside the gland mask"
    )
    facts = json.loads("\n".join(run_command("inspect", path, "--json").out))
    assert facts["card"]["separation"] == {"channel": "core", "threshold": 0.5, "reach_um": 10.0}


def test_without_the_package_onnx(run_command: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "onnx" else find(name))
    outcome = run_command("inspect")
    rows = read_rows(outcome.out)
    assert outcome.code == 0
    assert rows["graph"] == "pip install onnx to list layers and GFLOP"
    assert rows["input"] == "windows, (batch, 320, 320, 3) uint8"


def test_a_damaged_model_is_told_and_exits_with_2(run_command: Run, tmp_path: Path, red_model: Path) -> None:
    model = tmp_path / "red.onnx"
    model.write_bytes(red_model.read_bytes())
    model.with_suffix(".json").write_text(
        json.dumps({"files": {"red.onnx": {"sha256": "0" * 64}}}), encoding="utf-8"
    )
    outcome = run_command("inspect", model)
    assert outcome.code == 2
    assert "damaged or was replaced" in outcome.out[0]


def test_a_model_of_another_maker(run_command: Run, tmp_path: Path, write_model: Callable[..., Path]) -> None:
    rows = read_rows(run_command("inspect", write_model(tmp_path / "other.onnx", {})).out)
    assert rows["card"].startswith("not a model of glandseg")
    assert "runs on" not in rows


def test_a_file_that_is_not_there(run_command: Run) -> None:
    outcome = run_command("inspect", "none.onnx")
    assert outcome.code == 2
    assert outcome.err == ["error: none.onnx: no such model file. Check the path, or omit it."]


def test_an_engine(run_command: Run, tmp_path: Path) -> None:
    card = ModelCard(name="red", network="", tissue="drawings", um_per_px=1.4, weights_sha256="")
    plan = tmp_path / "red.engine"
    plan.write_bytes(b"a plan")
    layers = {"CONVOLUTION": {"float16": 58, "float32": 1}}
    fingerprint = replace(
        FINGERPRINT, version="11.4", gpu="T4", driver="535.1", cuda="12.2", share=0.91, layers=layers
    )
    fingerprint = replace(
        fingerprint, onnx_sha256="1" * 64, weights_sha256="", compute_capability="7.5", card=asdict(card)
    )
    write_fingerprint_file(plan, fingerprint)
    outcome = run_command("inspect", plan)
    rows = read_rows(outcome.out)
    assert outcome.code == 0
    assert rows["built by"] == "tensorrt 11.4, from an ONNX file of sha256 111111111111"
    assert rows["built on"] == "Linux x86_64; GPU T4, driver 535.1, CUDA 12.2"
    assert rows["computes"] == "91% of its layers in float16, counted on the engine"
    assert rows["layers"].strip() == "58 CONVOLUTION float16"
    assert rows["runs here"]
    facts = json.loads("\n".join(run_command("inspect", plan, "--json").out))
    assert facts["fingerprint"]["gpu"] == "T4"


def test_a_card_forges_no_line(run_command: Run, tmp_path: Path, write_model: Callable[..., Path]) -> None:
    card = ModelCard(
        name="x\nerror: forged", network="\x1b[2J", tissue="a\x9bb", um_per_px=1.4, weights_sha256=""
    )
    outcome = run_command("inspect", write_model(tmp_path / "odd.onnx", card.to_metadata()))
    assert "error: forged" not in outcome.out
    assert not any(sign in line for line in outcome.out for sign in ("\x1b", "\x9b"))
    assert any(line.endswith(r"x\nerror: forged") for line in outcome.out)
