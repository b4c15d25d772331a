"""Which file an engine is built from."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.core.errors import BadInputError
from glandseg.model.tensorrt.request import choose_onnx

FLOAT, HALF, INT8, INT8_TENSORRT = "m.onnx", "m.fp16.onnx", "m.int8.onnx", "m.int8.trt.onnx"


def silent(line: str) -> None:
    raise AssertionError(line)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (FLOAT, HALF, INT8, INT8_TENSORRT):
        (tmp_path / name).write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize("given", [FLOAT, HALF, INT8, INT8_TENSORRT])
@pytest.mark.parametrize(
    ("precision", "expected"), [("float32", FLOAT), ("float16", HALF), ("int8", INT8_TENSORRT)]
)
def test_a_precision_has_one_file_whichever_is_given(
    folder: Path, given: str, precision: str, expected: str
) -> None:
    assert choose_onnx(folder / given, precision, silent) == folder / expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [(FLOAT, HALF), (HALF, HALF), (INT8, INT8_TENSORRT), (INT8_TENSORRT, INT8_TENSORRT)],
)
def test_auto_takes_float16_or_what_was_given(folder: Path, given: str, expected: str) -> None:
    assert choose_onnx(folder / given, "auto", silent) == folder / expected


def test_auto_without_float16_takes_float32_and_says_so(folder: Path) -> None:
    (folder / HALF).unlink()
    said: list[str] = []
    assert choose_onnx(folder / FLOAT, "auto", said.append) == folder / FLOAT
    assert said == [
        "m.fp16.onnx is not there: the engine computes in float32. `glandseg export --fp16` writes it."
    ]


@pytest.mark.parametrize(
    ("given", "precision", "missing", "cure"),
    [
        (FLOAT, "float16", HALF, "glandseg export --fp16"),
        (FLOAT, "int8", INT8_TENSORRT, "glandseg export --int8"),
        (INT8, "auto", INT8_TENSORRT, "glandseg export --int8"),
        (HALF, "float32", FLOAT, "glandseg export"),
    ],
)
def test_a_missing_file_is_refused_with_its_cure(
    folder: Path, given: str, precision: str, missing: str, cure: str
) -> None:
    (folder / missing).unlink()
    with pytest.raises(BadInputError, match=f"{missing}: not there, so no engine in .* `{cure}` writes it"):
        choose_onnx(folder / given, precision, silent)


def test_another_precision_is_refused(folder: Path) -> None:
    with pytest.raises(BadInputError, match="precision of an engine: one of auto, .* Received: fp16"):
        choose_onnx(folder / FLOAT, "fp16", silent)
