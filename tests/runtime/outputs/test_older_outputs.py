"""Outputs of another slide are in the way."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.runtime.outputs.older_outputs import check_older_outputs, read_slide_hash
from glandseg.runtime.outputs.write import OutputPaths

NAMES = ["a.glands.csv", "a.run.json"]
OURS, THEIRS = "1" * 64, "2" * 64


def lay(folder: Path, record: str | None) -> None:
    (folder / NAMES[0]).touch()
    if record is not None:
        (folder / NAMES[1]).write_text(record, encoding="utf-8")


def describe(sha256: str) -> str:
    return json.dumps({"slide": {"sha256": sha256}})


def check(folder: Path, overwrite: bool = False) -> list[str]:
    told: list[str] = []
    check_older_outputs(OutputPaths(folder, "a"), OURS, overwrite, told.append)
    return told


def test_the_same_slides_outputs_are_replaced(tmp_path: Path) -> None:
    assert check(tmp_path) == []
    lay(tmp_path, describe(OURS))
    assert check(tmp_path) == []


def test_another_slides_outputs_are_replaced_only_when_told(tmp_path: Path) -> None:
    lay(tmp_path, describe(THEIRS))
    with pytest.raises(
        BadInputError, match=r"a\.glands\.csv: is of another slide.*222222222222.*Give another --out"
    ):
        check(tmp_path)
    assert check(tmp_path, overwrite=True) == []


@pytest.mark.parametrize(
    "record", [None, "", "[" * 100_000, "[]", '{"slide": 1}', '{"slide": {"sha256": 1}}']
)
def test_outputs_whose_slide_cannot_be_told_are_named(record: str | None, tmp_path: Path) -> None:
    lay(tmp_path, record)
    (said,) = check(tmp_path)
    assert said.endswith("a.glands.csv: replaced, though no record beside it says which slide it is of")


def test_the_hash_is_read(tmp_path: Path) -> None:
    lay(tmp_path, describe(THEIRS))
    assert read_slide_hash(tmp_path / NAMES[1]) == THEIRS
    assert read_slide_hash(tmp_path / "none") is None
