"""A plan is compared with what is here before it is loaded, by a file that strangers may have written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.tensorrt.fingerprint import (
    StaleEngineError,
    check_fingerprint,
    find_fingerprint_file,
    read_fingerprint_file,
    write_fingerprint_file,
)
from tests.model.tensorrt.fingerprints import FINGERPRINT

RTX = replace(FINGERPRINT, package="tensorrt_rtx", version="1.7.1.116")
SAME_MODEL = ("onnx_sha256", "weights_sha256")
EVERYWHERE: dict[str, Any] = {
    "package": "tensorrt_lean",
    "version": "11.5.0.1",
    "precision": "float32",
    "profile": (4, 320, 320, 3),
    "onnx_sha256": "c" * 64,
    "weights_sha256": "d" * 64,
}
ELSEWHERE: dict[str, Any] = {
    "system": "Windows AMD64",
    "gpu": "Tesla T4",
    "compute_capability": "7.5",
    "driver": "590.2",
    "cuda": "13.2",
}


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    path = tmp_path / "small.engine"
    path.write_bytes(b"a plan")
    write_fingerprint_file(path, FINGERPRINT)
    return path


def test_the_fingerprint_file_gives_back_all(plan: Path) -> None:
    found = read_fingerprint_file(plan)
    assert replace(found, plan_sha256="") == FINGERPRINT
    assert len(found.plan_sha256) == 64 and found.batch == 8
    check_fingerprint(plan, found, FINGERPRINT)


@pytest.mark.parametrize("name", [*EVERYWHERE, *ELSEWHERE])
def test_each_field_that_differs_is_named(plan: Path, name: str) -> None:
    needed = replace(FINGERPRINT, **{name: (EVERYWHERE | ELSEWHERE)[name]})
    with pytest.raises(StaleEngineError, match=rf"small\.engine: {name}: built with .*, here ") as raised:
        check_fingerprint(plan, read_fingerprint_file(plan), needed)
    assert str(raised.value).count("built with") == 1


def test_the_line_says_both_values(plan: Path) -> None:
    needed = replace(FINGERPRINT, driver="590.2", profile=(4, 320, 320, 3))
    with pytest.raises(StaleEngineError) as raised:
        check_fingerprint(plan, read_fingerprint_file(plan), needed)
    assert str(raised.value) == (
        f"{plan}: profile: built with 8x320x320x3, here 4x320x320x3; driver: built with 580.1, here 590.2."
    )


@pytest.mark.parametrize("name", ELSEWHERE)
def test_rtx_plans_run_elsewhere(plan: Path, name: str) -> None:
    write_fingerprint_file(plan, RTX)
    check_fingerprint(plan, read_fingerprint_file(plan), replace(RTX, **{name: ELSEWHERE[name]}))


@pytest.mark.parametrize("name", EVERYWHERE)
def test_rtx_plans_are_of_one_model_and_version(plan: Path, name: str) -> None:
    write_fingerprint_file(plan, RTX)
    with pytest.raises(StaleEngineError, match=name):
        check_fingerprint(plan, read_fingerprint_file(plan), replace(RTX, **{name: EVERYWHERE[name]}))


@pytest.mark.parametrize(
    ("built", "needed", "fits"),
    [
        ((), ("sm89",), True),
        ((), ("sm75",), False),
        (("sm75",), ("sm75",), True),
        (("sm86", "sm89"), ("sm89",), True),
        (("sm86", "sm89"), ("sm89", "sm120"), False),
        (("sm86",), (), True),
    ],
)
def test_rtx_plans_serve_their_targets(
    plan: Path, built: tuple[str, ...], needed: tuple[str, ...], fits: bool
) -> None:
    write_fingerprint_file(plan, replace(RTX, targets=built))
    if fits:
        check_fingerprint(plan, read_fingerprint_file(plan), replace(RTX, targets=needed))
    else:
        with pytest.raises(StaleEngineError, match=rf"targets: built for .*, here {needed[-1]}"):
            check_fingerprint(plan, read_fingerprint_file(plan), replace(RTX, targets=needed))


@pytest.mark.parametrize("content", [b"", b"a pla", b"a plan and more", b"b plan"])
def test_a_damaged_plan_is_reported(plan: Path, content: bytes) -> None:
    plan.write_bytes(content)
    with pytest.raises(
        StaleEngineError, match=r"its sha256 is .* its fingerprint file says .*: damaged, cut short"
    ):
        check_fingerprint(plan, read_fingerprint_file(plan), FINGERPRINT)


def test_no_fingerprint_file_is_reported(plan: Path) -> None:
    renamed = plan.rename(plan.with_name("other.engine"))
    with pytest.raises(BadInputError, match=r"other\.engine: .*other\.engine\.json is not there"):
        read_fingerprint_file(renamed)


@pytest.mark.parametrize("kept", [0, 1, 200, -3])
def test_a_fingerprint_file_cut_short_is_reported(plan: Path, kept: int) -> None:
    fingerprint_file = find_fingerprint_file(plan)
    fingerprint_file.write_bytes(fingerprint_file.read_bytes()[:kept])
    with pytest.raises(BadInputError, match=r"small\.engine\.json: damaged, or not the fingerprint file"):
        read_fingerprint_file(plan)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "3",
        "null",
        '{"kind": "TensorRT engine of glandseg"}',
        "\x00",
        pytest.param("[" * 100_000, id="nested deep"),
    ],
)
def test_other_json_is_reported(plan: Path, content: str) -> None:
    find_fingerprint_file(plan).write_text(content)
    with pytest.raises(BadInputError, match="damaged, or not the fingerprint file"):
        read_fingerprint_file(plan)


@pytest.mark.parametrize(
    "changed",
    [
        {"profile": [0, 320, 320, 3]},
        {"profile": [8.5, 320, 320, 3]},
        {"profile": ["8", 320, 320, 3]},
        {"profile": [8, 320, 320]},
        {"profile": 8},
        {"profile": []},
        {"profile": [8]},
        {"profile": "wide"},
        {"targets": None},
        {"driver": None},
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
    with pytest.raises(BadInputError, match=r"small\.engine\.json: damaged"):
        read_fingerprint_file(plan)


def test_what_the_fingerprint_file_says_cannot_write_to_the_terminal(plan: Path) -> None:
    find_fingerprint_file(plan).write_text(json.dumps({"kind": "x\x1b[2J\nerror: fake"}))
    with pytest.raises(BadInputError, match="of another kind") as raised:
        read_fingerprint_file(plan)
    assert str(raised.value).isprintable()
