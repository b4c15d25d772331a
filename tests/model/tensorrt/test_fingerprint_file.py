"""Fingerprint files that strangers may have written: read, or refused in one line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError
from glandseg.core.system import hash_file
from glandseg.model.tensorrt.fingerprint import (
    find_fingerprint_file,
    read_fingerprint_file,
    write_fingerprint_file,
)
from tests.model.tensorrt.fingerprints import FINGERPRINT


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "red.engine"
    path.write_bytes(b"plan")
    write_fingerprint_file(path, replace(FINGERPRINT, targets=("sm89",)))
    return path


def test_a_fingerprint_file_comes_back(plan: Path) -> None:
    written = replace(FINGERPRINT, targets=("sm89",), plan_sha256=hash_file(plan))
    assert read_fingerprint_file(plan) == written


@pytest.mark.parametrize(
    "changed",
    [
        {"profile": [0, 320, 320, 3]},
        {"profile": [8.5, 320, 320, 3]},
        {"profile": ["8", 320, 320, 3]},
        {"profile": [8, 320, 320]},
        {"profile": 8},
        {"profile": []},
        {"targets": [3]},
        {"targets": "sm89", "share": None},
        {"share": 2},
        {"share": "all"},
        {"layers": ["CONVOLUTION"]},
        {"layers": {"CONVOLUTION": {"float16": "3"}}},
        {"card": "a card"},
        {"version": 11.4},
        {"gpu": "\ud800"},
    ],
)
def test_fields_of_another_kind_are_refused(plan: Path, changed: dict[str, Any]) -> None:
    path = find_fingerprint_file(plan)
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    with pytest.raises(BadInputError, match=r"red\.engine\.json: damaged"):
        read_fingerprint_file(plan)


def test_json_nested_deep_is_refused(plan: Path) -> None:
    find_fingerprint_file(plan).write_text("[" * 100_000)
    with pytest.raises(BadInputError, match=r"red\.engine\.json: damaged"):
        read_fingerprint_file(plan)


def test_what_the_fingerprint_file_says_cannot_write_to_the_terminal(plan: Path) -> None:
    find_fingerprint_file(plan).write_text(json.dumps({"kind": "x\x1b[2J\nerror: fake"}))
    with pytest.raises(BadInputError, match="of another kind") as raised:
        read_fingerprint_file(plan)
    assert str(raised.value).isprintable()
