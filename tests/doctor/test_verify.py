from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.doctor import engine_check
from glandseg.doctor import verify as verification
from glandseg.doctor.verify import (
    FAILED,
    FINE,
    UNCHECKED,
    Reference,
    Verdict,
    find_float32,
    list_others,
    verify_files,
)
from glandseg.model import open_backend as devices
from glandseg.model.card import ModelCard
from glandseg.model.files import BUNDLED
from glandseg.model.gpu import Machine
from glandseg.model.onnx.cpu import CpuSession
from glandseg.model.tensorrt.fingerprint import (
    StaleEngineError,
    read_fingerprint_file,
    write_fingerprint_file,
)
from tests.model.tensorrt.fingerprints import FINGERPRINT

onnx = pytest.importorskip("onnx")
CARD = ModelCard(name="red", network="one slice", tissue="drawings", um_per_px=1.0, weights_sha256="ab")
TILES = np.random.default_rng(0).integers(0, 256, (4, 320, 320, 3), np.uint8)
Write = Callable[..., Path]


def gather(um_per_px: float) -> NDArray[np.uint8]:
    assert um_per_px == 1.0
    return TILES


def verify(model: Path, **options: object) -> list[Verdict]:
    return list(verify_files(model, gather, **options))  # type: ignore[arg-type]


def record(folder: Path) -> None:
    """Write the record of all files in a folder, as an export does."""
    files = {path.name: {"sha256": hash_file(path)} for path in folder.iterdir() if path.suffix != ".json"}
    (folder / "red.json").write_text(json.dumps({"files": files}), encoding="utf-8")


@pytest.fixture
def model(tmp_path: Path, write_model: Write) -> Path:
    """The network "red is gland" with a float16 file beside it, both as exported."""
    write_model(tmp_path / "red.fp16.onnx", replace(CARD, precision="float16").to_metadata())
    path = write_model(tmp_path / "red.onnx", CARD.to_metadata())
    record(tmp_path)
    return path


def change(path: Path, edit: Callable[[Any], None]) -> None:
    changed = onnx.load(path)
    edit(changed)
    path.write_bytes(changed.SerializeToString())
    record(path.parent)


def take_green(changed: Any) -> None:
    tensor = next(tensor for tensor in changed.graph.initializer if tensor.name == "red_index")
    tensor.CopyFrom(onnx.helper.make_tensor("red_index", onnx.TensorProto.INT64, [], [1]))


class Red:
    """The same network as the model, for a reference."""

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        return np.stack([255 - windows[..., 0], windows[..., 0]], 1)


REFERENCE = Reference(name="PyTorch", network=Red(), weights_sha256="ab")


def test_whole_files_are_fine(model: Path) -> None:
    first, second = verify(model)
    assert (first.state, second.state) == (FINE, FINE)
    assert str(first) == "red.onnx: float32, whole; its export compared it with PyTorch"
    assert str(second).startswith("red.fp16.onnx: float16, whole, within 0.0000 of red.onnx")
    assert second.parity and second.parity.dice == 1


def test_with_a_reference_every_file_is_compared_with_it(model: Path) -> None:
    first, second = verify(model, reference=REFERENCE)
    assert "of PyTorch" in first.text and "of PyTorch" in second.text


def test_other_weights_than_the_reference_s(model: Path) -> None:
    verdicts = verify(model, reference=replace(REFERENCE, weights_sha256="cd"))
    assert [verdict.state for verdict in verdicts] == [FAILED, UNCHECKED]
    assert "has other weights than PyTorch" in verdicts[0].text


def test_file_that_computes_something_else(model: Path) -> None:
    change(model.with_name("red.fp16.onnx"), take_green)
    first, second = verify(model)
    assert (first.state, second.state) == (FINE, FAILED)
    assert str(second).startswith(
        "red.fp16.onnx: FAILED: in float16 it computes something else than red.onnx: max_dp"
    )


def test_damaged_file(model: Path) -> None:
    half = model.with_name("red.fp16.onnx")
    half.write_bytes(half.read_bytes()[:-1] + b"x")
    assert "red.json says" in verify(model)[1].text
    assert verify(model)[1].state == FAILED


def test_truncated_file_with_a_record_of_its_own(model: Path) -> None:
    model.write_bytes(model.read_bytes()[:-50])
    record(model.parent)
    first, second = verify(model)
    assert (first.state, second.state) == (FAILED, UNCHECKED)
    assert "it ends too early" in first.text and second.text == "red.onnx is not fine"


@pytest.mark.parametrize("content", [b"", b"not a model", os.urandom(3000)])
def test_foreign_file(model: Path, content: bytes) -> None:
    model.write_bytes(content)
    record(model.parent)
    assert verify(model)[0].state == FAILED


def test_model_of_something_else(model: Path, write_model: Write) -> None:
    write_model(model, {})
    record(model.parent)
    assert "not a model of glandseg" in verify(model)[0].text


def test_renamed_file(model: Path) -> None:
    renamed = model.rename(model.with_name("blue.onnx"))
    (only,) = verify(renamed)
    assert only.state == FAILED and "no record blue.json beside it" in only.text


def test_file_under_another_file_s_name(model: Path) -> None:
    half = model.with_name("red.fp16.onnx")
    half.write_bytes(model.read_bytes())
    record(model.parent)
    assert "its card says float32, its name float16" in verify(model)[1].text


@pytest.mark.parametrize("part", ["opset", "ir"])
def test_file_of_a_newer_onnx(model: Path, part: str) -> None:
    def shift(changed: Any) -> None:
        if part == "opset":
            changed.opset_import[0].version = 99
        else:
            changed.ir_version = 99

    change(model, shift)
    first = verify(model)[0]
    assert first.state == FAILED and "cannot load it" in first.text


def test_graph_check_is_asked(model: Path) -> None:
    def refuse(path: Path) -> None:
        raise BadInputError(f"{path}: not valid ONNX (a cycle).")

    first = verify(model, check_graph=refuse)[0]
    assert str(first) == "red.onnx: FAILED: not valid ONNX (a cycle)."


def test_engine_that_cannot_run_here(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lack(path: Path) -> None:
        raise EnvironmentLacksError(f"{path}: no GPU here.")

    monkeypatch.setattr(verification, "open_engine", lack)
    model.with_name("red.fp16.engine").write_bytes(b"plan")
    last = verify(model)[-1]
    assert str(last) == "red.fp16.engine: not checked here: no GPU here."


@pytest.fixture
def engine(model: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An engine of the float16 file with its fingerprint file; it runs as that file does."""
    half = model.with_name("red.fp16.onnx")
    plan = half.with_suffix(".engine")
    plan.write_bytes(b"plan")
    write_fingerprint_file(plan, replace(FINGERPRINT, onnx_sha256=hash_file(half)))
    monkeypatch.setattr(devices, "open_engine_only", lambda path: CpuSession(half))
    return plan


def test_engine_that_is_whole(model: Path, engine: Path) -> None:
    last = verify(model)[-1]
    assert str(last).startswith("red.fp16.engine: float16, whole, within 0.0000 of red.onnx")


def test_engine_of_another_export(model: Path, engine: Path) -> None:
    change(model.with_name("red.fp16.onnx"), lambda changed: setattr(changed, "producer_name", "another"))
    last = verify(model)[-1]
    assert last.state == FAILED
    assert str(last).startswith("red.fp16.engine: FAILED: stale, onnx_sha256: built with")
    assert last.text.endswith("`glandseg infer --device trt` builds it again.")
    assert engine.read_bytes() == b"plan"


def test_engine_that_is_damaged(model: Path, engine: Path) -> None:
    engine.write_bytes(b"plam")
    last = verify(model)[-1]
    assert last.state == FAILED and "damaged, cut short or replaced" in last.text


def test_engine_without_a_fingerprint_file(model: Path, engine: Path) -> None:
    engine.with_name("red.fp16.engine.json").unlink()
    last = verify(model)[-1]
    assert last.state == FAILED and "nothing states what it holds" in last.text


def test_engine_that_is_stale_on_this_machine(
    model: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path) -> None:
        raise StaleEngineError(f"{path}: driver: built with 570.1, here 580.1.")

    monkeypatch.setattr(devices, "open_engine_only", refuse)
    last = verify(model)[-1]
    assert str(last).startswith(
        "red.fp16.engine: FAILED: stale, driver: built with 570.1, here 580.1. `glandseg"
    )


def test_engine_for_other_gpus_is_not_called_stale(
    model: Path, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_fingerprint_file(engine, replace(read_fingerprint_file(engine), targets=("sm86", "sm89")))
    here = Machine(system="", gpu="RTX 5090", compute_capability="12.0")
    monkeypatch.setattr(engine_check, "read_machine", lambda: here)
    last = verify(model)[-1]
    assert (
        str(last) == "red.fp16.engine: not checked here: was built for sm86, sm89, but the GPU here is sm120."
    )


def test_any_of_a_model_s_files_leads_to_the_float32_one(model: Path) -> None:
    assert find_float32(model) == find_float32(model.with_name("red.fp16.onnx")) == model
    assert find_float32(None) == BUNDLED
    for missing in (model.with_name("none.onnx"), model.with_name("none.fp16.onnx")):
        with pytest.raises(BadInputError, match=f"{missing.name}: no such model file"):
            find_float32(missing)


def test_lists_the_files_of_one_model(model: Path) -> None:
    for name in ("red.int8.onnx", "red.int8.trt.onnx", "red.fp16.engine", "reddish.fp16.onnx", "blue.onnx"):
        model.with_name(name).write_bytes(b"")
    names = [path.name for path in list_others(model)]
    assert names == ["red.fp16.onnx", "red.int8.onnx", "red.int8.trt.onnx", "red.fp16.engine"]


def test_describes_itself_for_json(model: Path) -> None:
    described = [verdict.describe() for verdict in verify(model)]
    assert json.loads(json.dumps(described))[1]["parity"]["max_dp"] == 0
