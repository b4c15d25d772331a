"""Which device runs a model, and what is said of those that do not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.runtime.card import ModelCard
from glandseg.runtime.engine.machine import Machine
from glandseg.runtime.errors import BadInputError, EnvironmentLacksError
from glandseg.runtime.network import devices
from glandseg.runtime.network.devices import open_backend
from glandseg.runtime.network.parity import ParityError

GPU = Machine(system="Linux", gpu="Fake GPU", driver="580.1", cuda="13.0")


class RedBackend(contextlib.nullcontext["RedBackend"]):
    name, classes, slots, identity, precision = "red on a GPU", 2, 2, "red 1", "float32"
    closed = False

    def __init__(self, off: int = 0) -> None:
        super().__init__(self)
        self.card = ModelCard(name="red", network="", tissue="", um_per_px=1.4, weights_sha256="")
        self.off = off

    def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
        red = windows[..., 0] + np.uint8(self.off)
        return np.stack([255 - red, red], axis=1)

    def __exit__(self, *error: object) -> None:
        self.closed = True


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture(autouse=True)
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache" / "first_use.json"
    tiles = np.random.default_rng(0).integers(0, 256, (4, 320, 320, 3), np.uint8)
    monkeypatch.setattr("glandseg.runtime.network.first_use.find_memory", lambda: path)
    monkeypatch.setattr("glandseg.runtime.network.first_use.draw_golden_tiles", lambda um_per_px: tiles)
    return path


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "read_machine", lambda ordinal=0: GPU)


def fail(error: Exception) -> Callable[..., Any]:
    def opener(*arguments: Any) -> Any:
        raise error

    return opener


def test_without_a_gpu_the_cpu_does_the_work(
    red_model: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "read_machine", lambda: replace(GPU, gpu="none"))
    with open_backend(red_model, threads=1, say=said.append) as backend:
        assert backend.name.endswith(", CPU")
        assert backend.slots == 1
        assert backend.identity.endswith(" cpu float32")
    assert said == ["no NVIDIA GPU: the CPU does the work"]
    with pytest.raises(EnvironmentLacksError, match=r"--require-gpu: no GPU can be used \(no NVIDIA GPU or"):
        open_backend(red_model, require_gpu=True)


@pytest.mark.usefixtures("with_gpu")
def test_each_device_given_up_is_told(
    red_model: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "open_on_tensorrt", fail(EnvironmentLacksError("PyCUDA: not there.")))
    monkeypatch.setattr(devices, "open_on_cuda", fail(ParityError("GPU: computes something else.")))
    with open_backend(red_model, say=said.append) as backend:
        assert backend.name.endswith(", CPU")
    assert said == [
        "trt is not used: PyCUDA: not there.",
        "cuda is not used: GPU: computes something else.",
    ]
    with pytest.raises(EnvironmentLacksError, match=r"PyCUDA: not there\. \| GPU: computes something else"):
        open_backend(red_model, require_gpu=True)


@pytest.mark.usefixtures("with_gpu")
def test_the_best_that_works_is_taken(red_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken: list[tuple[Any, ...]] = []

    def take(*asked: Any) -> RedBackend:
        taken.append(asked)
        return RedBackend()

    monkeypatch.setattr(devices, "open_on_tensorrt", take)
    with open_backend(red_model, batch=4, require_gpu=True) as backend:
        assert backend.name == "red on a GPU"
    assert taken[0][:3] == (red_model, 0, 4)
    open_backend(red_model, device="trt:2")
    assert taken[1][:3] == (red_model, 2, None)


def test_a_device_asked_for_is_not_replaced(red_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "open_on_tensorrt", fail(EnvironmentLacksError("no driver")))
    with pytest.raises(EnvironmentLacksError, match="no driver"):
        open_backend(red_model, device="trt")


def test_what_cannot_be_asked(red_model: Path, tmp_path: Path) -> None:
    engine = tmp_path / "red.engine"
    engine.write_bytes(b"")
    for asked, told in (
        ({"device": "tpu"}, "--device: one of auto, cpu, cuda, trt.* Received: tpu"),
        ({"device": "cpu", "require_gpu": True}, "--require-gpu: not with --device cpu"),
        ({"batch": 0}, "--batch: at least 1. Received: 0"),
        ({"threads": -1, "device": "cpu"}, "--threads: 0 or more. Received: -1"),
    ):
        with pytest.raises(BadInputError, match=told):
            open_backend(red_model, **asked)
    with pytest.raises(BadInputError, match="red.engine: an engine runs with --device trt alone"):
        open_backend(engine, device="cpu")
    with pytest.raises(BadInputError, match="none.onnx: no such model file"):
        open_backend(tmp_path / "none.onnx")


@pytest.mark.usefixtures("with_gpu")
def test_a_gpu_that_computes_something_else_is_refused(
    red_model: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = RedBackend(off=40)
    monkeypatch.setattr(devices, "Session", lambda *args, **kwargs: wrong)
    with pytest.raises(ParityError, match="red on a GPU"):
        open_backend(red_model, device="cuda", say=said.append)
    assert wrong.closed
    right = RedBackend()
    monkeypatch.setattr(devices, "Session", lambda *args, **kwargs: right)
    assert open_backend(red_model, device="cuda") is right
    assert not right.closed
