"""Model files, whole or not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glandseg.core.system import hash_file
from glandseg.doctor.models import check_models
from glandseg.model.files import BUNDLED


@pytest.fixture
def bundled(tmp_path: Path) -> Path:
    return write_model(tmp_path / "own" / "own.onnx")


def write_model(path: Path) -> Path:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x12" + bytes([len(path.name)]) + path.name.encode())  # as a protobuf message
    record = {"files": {path.name: {"sha256": hash_file(path)}}}
    path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
    return path


def test_the_bundled_model_is_whole() -> None:
    finding = check_models(exports=Path("none"))[0]
    assert (finding.level, finding.topic) == ("ok", "models")
    assert finding.text.startswith("glandseg-colon.onnx: whole, sha256 ")


def test_exports_are_counted(bundled: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "a" / "a.onnx")
    write_model(tmp_path / "models" / "b" / "b.onnx")
    findings = check_models(bundled, tmp_path / "models")
    assert [one.level for one in findings] == ["ok", "ok"]
    assert findings[1].text.startswith("2 below ")


def test_damage_is_told(bundled: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "models" / "a" / "a.onnx").write_bytes(b"damaged")
    findings = check_models(bundled, tmp_path / "models")
    assert [one.level for one in findings] == ["ok", "note"]
    assert "damaged or was replaced" in findings[1].text
    bundled.write_bytes(b"damaged")
    assert check_models(bundled, tmp_path / "none")[0].level == "problem"


def test_a_model_in_several_files_is_told(bundled: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    path = write_model(tmp_path / "models" / "a" / "a.onnx")
    model = onnx.load(BUNDLED)
    onnx.save(model, path, save_as_external_data=True, location="a.data", size_threshold=100)
    path.with_suffix(".json").unlink()
    findings = check_models(bundled, tmp_path / "models")
    assert [one.level for one in findings] == ["ok", "note"]
    assert "a.onnx: its weights lie outside this file" in findings[1].text


def test_a_bundled_model_without_record_is_not_whole(bundled: Path, tmp_path: Path) -> None:
    bundled.with_suffix(".json").unlink()
    finding = check_models(bundled, tmp_path / "none")[0]
    assert (finding.level, finding.text) == ("problem", "own.onnx: its record is missing")
    bundled.unlink()
    assert check_models(bundled, tmp_path / "none")[0].level == "problem"
