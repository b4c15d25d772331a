"""Which of a model's files runs where nobody named one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from glandseg.model import fastest
from glandseg.model import open_backend as devices
from glandseg.model.fastest import choose_for_gpu, is_open_to_choice
from glandseg.model.open_backend import open_backend
from glandseg.model.parity import ParityError
from tests.conftest import CARD, WriteModel


@pytest.fixture
def model(red_model: Path, tmp_path: Path, write_model: WriteModel) -> Path:
    """A model with files in float16 and int8 beside it."""
    for suffix, precision in (("", "float32"), (".fp16", "float16"), (".int8", "int8")):
        card = CARD.to_metadata() | {"glandseg.precision": precision}
        write_model(tmp_path / f"red{suffix}.onnx", card)
    return tmp_path / "red.onnx"


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "first_use.json"
    monkeypatch.setattr("glandseg.model.gpu_check.find_memory", lambda: path)
    return path


@pytest.fixture
def with_dot_products(without_dot_products: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fastest, "find_dot_products", lambda: "AVX-512 VNNI")


def open_on_cpu(
    model: Path, said: list[str] | None = None, precision: str | None = "auto"
) -> tuple[Path, str]:
    taken = [(model, "")]
    with open_backend(
        model,
        device="cpu",
        threads=1,
        precision=precision,
        say=(said or []).append,
        take=lambda path, reason: taken.append((path, reason)),
    ):
        return taken[-1]


@pytest.mark.usefixtures("with_dot_products")
def test_a_cpu_with_dot_products_takes_int8(model: Path, memory: Path) -> None:
    said: list[str] = ["opened"]
    assert open_on_cpu(model, said) == (
        model.with_name("red.int8.onnx"),
        "int8, the fastest on a CPU with AVX-512 VNNI",
    )
    assert said[1].startswith("first use of red.int8.onnx by ONNX Runtime")
    assert memory.is_file()
    again: list[str] = ["opened"]
    open_on_cpu(model, again)
    assert again == ["opened"]  # what passed is remembered


def test_another_cpu_takes_float32(model: Path) -> None:
    reason = "float32, for this CPU has no known dot products of 8-bit numbers"
    assert open_on_cpu(model) == (model, reason)


@pytest.mark.usefixtures("with_dot_products")
def test_without_an_int8_file(model: Path) -> None:
    model.with_name("red.int8.onnx").unlink()
    taken, reason = open_on_cpu(model)
    assert taken == model
    assert reason == "float32, for red.int8.onnx is not there. `glandseg export --int8` writes it"


@pytest.mark.usefixtures("with_dot_products")
def test_int8_that_computes_something_else_is_not_taken(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise ParityError("int8: too far off.")

    monkeypatch.setattr(fastest, "pass_first_use", refuse)
    assert open_on_cpu(model) == (model, "float32, for int8 was refused: int8: too far off.")


@pytest.mark.usefixtures("with_dot_products")
def test_a_file_that_was_named_is_run(model: Path) -> None:
    half = model.with_name("red.fp16.onnx")
    assert not is_open_to_choice(half)
    assert open_on_cpu(half) == (half, "")
    assert open_on_cpu(model, precision=None) == (model, "")


def test_a_model_alone_leaves_no_choice(red_model: Path, tmp_path: Path) -> None:
    alone = Path(shutil.copy(red_model, tmp_path / "alone.onnx"))
    assert not is_open_to_choice(alone)
    assert open_on_cpu(alone) == (alone, "")


def test_a_gpu_takes_float16(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Path] = []
    taken: list[tuple[Path, str]] = []
    monkeypatch.setattr(devices, "open_on_cuda", lambda path, *arguments: opened.append(path))
    open_backend(model, device="cuda", precision="auto", take=lambda *choice: taken.append(choice))
    half = model.with_name("red.fp16.onnx")
    assert (opened, taken) == ([half], [(half, "float16, the fastest on a GPU")])
    half.unlink()
    assert choose_for_gpu(model)[0] == model
    assert "red.fp16.onnx is not there" in choose_for_gpu(model)[1]
