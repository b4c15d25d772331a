"""What a model file is, without the onnx package."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.doctor.inspect_model import inspect_model
from glandseg.model.files import BUNDLED


@pytest.fixture
def model(tmp_path: Path, red_model: Path) -> Path:
    path = tmp_path / "red.onnx"
    path.write_bytes(red_model.read_bytes())
    return path


def write_record(model: Path, sha256: str) -> None:
    record = {"files": {model.name: {"sha256": sha256}}}
    model.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def test_the_bundled_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    report = inspect_model(BUNDLED)
    assert (report.name, report.size) == ("glandseg-colon.onnx", BUNDLED.stat().st_size)
    assert report.sha256 == hash_file(BUNDLED)
    assert (report.record, report.whole) == ("glandseg-colon.json agrees", True)
    assert report.card is not None
    assert report.card.um_per_px == 1.3
    assert [str(port) for port in report.inputs] == ["windows, (batch, 320, 320, 3) uint8"]
    assert [str(port) for port in report.outputs] == ["probabilities, (batch, 3, 320, 320) uint8"]


def test_a_record_that_is_missing_agrees_or_contradicts(model: Path) -> None:
    assert inspect_model(model).record == "no red.json beside it"
    write_record(model, hash_file(model))
    assert inspect_model(model).record == "red.json agrees"
    write_record(model, "0" * 64)
    report = inspect_model(model)
    assert not report.whole
    assert "damaged or was replaced" in report.record
    assert report.card is not None


def test_a_record_that_does_not_list_the_file(model: Path) -> None:
    model.with_suffix(".json").write_text('{"files": {}}', encoding="utf-8")
    report = inspect_model(model)
    assert (report.record, report.whole) == ("red.json does not list it", True)


def test_a_model_of_another_maker(tmp_path: Path, write_model: Callable[..., Path]) -> None:
    report = inspect_model(write_model(tmp_path / "other.onnx", {}))
    assert report.card is None
    assert report.flaw == "not a model of glandseg, its metadata lack glandseg.card"
    assert report.inputs


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="no such model file"):
        inspect_model(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("text", encoding="utf-8")
    with pytest.raises(BadInputError, match=r"text\.onnx: not a model of glandseg, it"):
        inspect_model(tmp_path / "text.onnx")


@pytest.mark.parametrize(
    "text", ['{"files": ["red.onnx"]}', "[" * 100_000, '{"files": {"red.onnx": {"sha256": 3}}}']
)
def test_a_record_that_cannot_be_read_contradicts(model: Path, text: str) -> None:
    model.with_suffix(".json").write_text(text, encoding="utf-8")
    report = inspect_model(model)
    assert not report.whole
    assert "damaged record" in report.record
