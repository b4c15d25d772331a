"""The comparison of a GPU with the CPU, made once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.model.card import ModelCard
from glandseg.model.gpu_check import find_memory, find_reference, pass_first_use
from glandseg.model.parity import ParityError

FACTS = {"model": "aa", "gpu": "Fake GPU", "driver": "580.1"}


@pytest.fixture(autouse=True)
def tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (4, 320, 320, 3), np.uint8)
    monkeypatch.setattr("glandseg.model.gpu_check.draw_golden_tiles", lambda um_per_px: noise)


class Counted:
    """The network "red is gland", off by some steps; counts its calls."""

    name, classes, slots, identity = "red on a GPU", 2, 1, "red 1"

    def __init__(self, off: int = 0) -> None:
        self.off, self.asked = off, 0
        self.card = ModelCard(name="red", network="", tissue="", um_per_px=1.4, weights_sha256="")

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        self.asked += 1
        red = np.clip(windows[..., 0].astype(np.int16) + self.off, 0, 255).astype(np.uint8)
        return np.stack([255 - red, red], axis=1)

    def __enter__(self) -> Counted:
        return self

    def __exit__(self, *error: object) -> None:
        pass


def test_a_pass_is_remembered(red_model: Path, tmp_path: Path) -> None:
    memory, said = tmp_path / "new" / "first_use.json", list[str]()
    first = Counted()
    pass_first_use(first, red_model, FACTS, memory=memory, say=said.append)
    assert first.asked
    assert said == ["first use of red.onnx by red on a GPU: compared with red.onnx on synthetic tiles"]
    again = Counted()
    pass_first_use(again, red_model, FACTS, memory=memory, say=said.append)
    assert not again.asked
    assert len(said) == 1
    (kept,) = json.loads(memory.read_text()).values()
    assert kept["parity"]["max_dp"] == 0
    assert kept["gpu"] == "Fake GPU"


@pytest.mark.parametrize("fact", ["model", "gpu", "driver", "identity"])
def test_another_gpu_driver_model_or_engine_is_compared_again(
    fact: str, red_model: Path, tmp_path: Path
) -> None:
    memory, other = tmp_path / "first_use.json", Counted()
    pass_first_use(Counted(), red_model, FACTS, memory=memory)
    if fact == "identity":
        other.identity = "red 2"
    pass_first_use(other, red_model, FACTS | ({} if fact == "identity" else {fact: "other"}), memory=memory)
    assert other.asked
    assert len(json.loads(memory.read_text())) == 2


def test_a_failure_is_refused_and_not_remembered(red_model: Path, tmp_path: Path) -> None:
    memory = tmp_path / "first_use.json"
    for _ in range(2):
        wrong = Counted(off=30)
        with pytest.raises(ParityError, match=r"red on a GPU: .*red\.onnx on the CPU"):
            pass_first_use(wrong, red_model, FACTS, memory=memory)
        assert wrong.asked
    assert not memory.exists()


def test_limits_are_those_of_the_precision(red_model: Path, tmp_path: Path) -> None:
    near = Counted(off=1)  # 0.004 everywhere: much for float32, little for float16
    pass_first_use(near, red_model, FACTS, precision="float16", memory=tmp_path / "half.json")
    with pytest.raises(ParityError):
        pass_first_use(near, red_model, FACTS, precision="float32", memory=tmp_path / "single.json")


@pytest.mark.parametrize("content", ["", "[1]", "{", "\x00"])
def test_a_damaged_memory_is_replaced(content: str, red_model: Path, tmp_path: Path) -> None:
    memory, backend = tmp_path / "first_use.json", Counted()
    memory.write_text(content)
    pass_first_use(backend, red_model, FACTS, memory=memory)
    assert backend.asked
    assert len(json.loads(memory.read_text())) == 1


def test_a_memory_that_cannot_be_written_costs_only_time(red_model: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for _ in range(2):
        backend = Counted()
        pass_first_use(backend, red_model, FACTS, memory=tmp_path / "file" / "first_use.json")
        assert backend.asked


def test_the_reference_is_the_float32_file(red_model: Path, tmp_path: Path) -> None:
    names = ("a.onnx", "a.fp16.onnx", "b.fp16.onnx", "a.fp16.engine", "c.engine")
    for name in names:
        shutil.copy(red_model, tmp_path / name)
    found = {name: find_reference(tmp_path / name) for name in names}
    assert {name: path and path.name for name, path in found.items()} == {
        "a.onnx": "a.onnx",
        "a.fp16.onnx": "a.onnx",
        "b.fp16.onnx": "b.fp16.onnx",
        "a.fp16.engine": "a.onnx",
        "c.engine": None,
    }


def test_an_engine_alone_is_not_compared(tmp_path: Path) -> None:
    backend, said = Counted(off=99), list[str]()
    pass_first_use(backend, tmp_path / "c.engine", FACTS, memory=tmp_path / "m.json", say=said.append)
    assert said == ["c.engine: not compared with the CPU, for c.onnx is not beside it"]
    assert not backend.asked


def test_the_memory_lies_in_the_users_cache() -> None:
    assert find_memory().name == "first_use.json"
    assert "glandseg" in find_memory().parts
