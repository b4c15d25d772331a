"""Sidecars that strangers may have written: read, or refused in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.tensorrt.fingerprint import (
    Fingerprint,
    find_fingerprint_file,
    read_fingerprint_file,
    write_fingerprint_file,
)

TEXTS = ("weights_sha256", "package", "version", "system", "gpu", "compute_capability", "driver", "cuda")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "red.engine"
    path.write_bytes(b"plan")
    facts = dict.fromkeys(TEXTS, "x")
    write_fingerprint_file(
        path,
        Fingerprint(
            onnx_sha256="x",
            profile=(8, 320, 320, 3),
            precision="float16",
            layers={"CONVOLUTION": {"float16": 3}},
            targets=("sm89",),
            card={},
            **facts,  # type: ignore[arg-type]
        ),
    )
    return path


def test_a_fingerprint_file_comes_back(plan: Path) -> None:
    found = read_fingerprint_file(plan)
    assert (found.profile, found.targets, found.layers) == (
        (8, 320, 320, 3),
        ("sm89",),
        {"CONVOLUTION": {"float16": 3}},
    )


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
