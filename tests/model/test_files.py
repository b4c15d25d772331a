"""Which model is taken, and that it is whole."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.core.system import hash_file
from glandseg.model import files as model_file
from glandseg.model.files import BUNDLED, SUFFIXES, check_model, find_bundled, find_model


def write(path: Path, data: bytes = b"model", age: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    os.utime(path, (1e9 - age, 1e9 - age))
    return path


def write_record(model: Path, sha256: str) -> None:
    record = {"files": {model.name: {"sha256": sha256}}}
    model.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")


def test_a_hash_is_that_of_all_bytes(tmp_path: Path) -> None:
    data = os.urandom((1 << 20) + 7)
    assert hash_file(write(tmp_path / "m", data)) == hashlib.sha256(data).hexdigest()


ODD_RECORDS = [
    '{"files": ["x"]}',
    '{"files": ["m.onnx"]}',
    '{"files": "m.onnx"}',
    '{"files": null}',
    '{"files": {"other.onnx": 3}}',
    '{"files": {"m.onnx": {"sha256": null}}}',
    '{"files": {"m.onnx": {"sha256": ["0"]}}}',
    '{"files": {"m.onnx": {"sha256": "abc"}}}',
    '{"files": {"m.onnx": {"sha256": "\\ud800"}}}',
    "[" * 100_000,
]


def test_the_given_model_is_taken(tmp_path: Path) -> None:
    write(tmp_path / "models" / "a" / "a.onnx")
    given = write(tmp_path / "mine.onnx", b"mine")
    found = find_model(given, tmp_path / "models")
    assert (found.path, found.origin) == (given, "--model")
    assert found.sha256 == hashlib.sha256(b"mine").hexdigest()


def test_the_newest_export_is_taken_in_float32(tmp_path: Path) -> None:
    write(tmp_path / "old" / "old.onnx", age=20)
    newest = write(tmp_path / "new" / "new.onnx", age=10)
    for suffix in SUFFIXES:
        write(tmp_path / "new" / f"new{suffix}.onnx", age=5)
    write(tmp_path / "stray.onnx", age=1)
    found = find_model(None, tmp_path)
    assert (found.path, found.origin) == (newest, "newest export")


def test_without_exports_the_bundled_one_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = write(tmp_path / "bundled.onnx")
    monkeypatch.setattr(model_file, "BUNDLED", bundled)
    assert find_model(None, tmp_path / "models").origin == "bundled"
    bundled.unlink()
    with pytest.raises(BadInputError, match=r"bundled\.onnx: no such model file"):
        find_model(None, tmp_path / "models")


def test_the_bundled_model_is_its_float32_file_and_has_int8_beside_it(tmp_path: Path) -> None:
    assert find_model(None, tmp_path).path == find_bundled().path == BUNDLED
    found = find_model(None, tmp_path, precision="int8")
    assert (found.path, found.origin) == (BUNDLED.with_name("glandseg-colon.int8.onnx"), "bundled")


@pytest.mark.parametrize("given", ["m.onnx", "m.fp16.onnx", "m.int8.onnx"])
def test_int8_is_taken_beside_the_model(given: str, tmp_path: Path) -> None:
    write(tmp_path / given)
    int8 = write(tmp_path / "m.int8.onnx", b"int8")
    found = find_model(tmp_path / given, precision="int8")
    assert (found.path, found.origin) == (int8, "--model")
    assert found.sha256 == hashlib.sha256(b"int8").hexdigest()


def test_int8_is_taken_beside_the_newest_export(tmp_path: Path) -> None:
    write(tmp_path / "old" / "old.int8.onnx", age=20)
    write(tmp_path / "old" / "old.onnx", age=20)
    write(tmp_path / "new" / "new.onnx", age=10)
    with pytest.raises(BadInputError, match=r"new\.int8\.onnx: no int8 file .* `glandseg export --int8`"):
        find_model(None, tmp_path, precision="int8")
    int8 = write(tmp_path / "new" / "new.int8.onnx", age=30)
    assert find_model(None, tmp_path, precision="int8").path == int8


def test_int8_of_a_model_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"m\.onnx: no such model file"):
        find_model(tmp_path / "m.onnx", precision="int8")


def test_a_record_that_agrees_or_knows_others_only(tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx")
    write_record(model, hash_file(model))
    assert check_model(model, "--model").sha256 == hash_file(model)
    write_record(tmp_path / "other.onnx", "0" * 64)
    (tmp_path / "other.json").rename(tmp_path / "m.json")
    assert check_model(model, "--model").sha256 == hash_file(model)


@pytest.mark.parametrize("name", ["m.onnx", "m.fp16.onnx"])
def test_a_record_that_disagrees(name: str, tmp_path: Path) -> None:
    model = write(tmp_path / name)
    record = {"files": {name: {"sha256": "0" * 64}}}
    (tmp_path / "m.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(BadInputError, match=r"m\.json says 000000000000"):
        check_model(model, "--model")


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"files": {"m.onnx": {}}}', '{"files": 3}', *ODD_RECORDS])
def test_a_damaged_record(text: str, tmp_path: Path) -> None:
    model = write(tmp_path / "m.onnx")
    (tmp_path / "m.json").write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"m\.json: damaged record"):
        check_model(model, "--model")


def test_a_model_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> str:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(model_file, "hash_file", refuse)
    with pytest.raises(EnvironmentLacksError, match="Permission denied"):
        check_model(write(tmp_path / "m.onnx"), "--model")
