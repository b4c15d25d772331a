"""Which device runs a model, and what is reported of those that do not."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.core.errors import BadInputError, EnvironmentLacksError
from glandseg.model import open_backend as devices
from glandseg.model.card import ModelCard
from glandseg.model.gpu import Machine
from glandseg.model.open_backend import open_backend
from glandseg.model.parity import ParityError

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
    monkeypatch.setattr("glandseg.model.gpu_check.find_memory", lambda: path)
    monkeypatch.setattr("glandseg.model.gpu_check.draw_golden_tiles", lambda um_per_px: tiles)
    return path


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "read_machine", lambda ordinal=0: GPU)


def fail(error: Exception) -> Callable[..., Any]:
    def opener(*arguments: Any, **options: Any) -> Any:
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
def test_each_device_given_up_is_reported(
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

    def take(*asked: Any, **options: Any) -> RedBackend:
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
    for asked, message in (
        ({"device": "tpu"}, "--device: one of auto, cpu, cuda, trt.* Received: tpu"),
        ({"device": "cpu", "require_gpu": True}, "--require-gpu: not with --device cpu"),
        ({"batch": 0}, "--batch: at least 1. Received: 0"),
        ({"threads": -1, "device": "cpu"}, "--threads: 0 to 1024, where 0 takes all CPUs. Received: -1."),
    ):
        with pytest.raises(BadInputError, match=message):
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
    monkeypatch.setattr(devices, "CudaSession", lambda *args, **kwargs: wrong)
    with pytest.raises(ParityError, match="red on a GPU"):
        open_backend(red_model, device="cuda", say=said.append)
    assert wrong.closed
    right = RedBackend()
    monkeypatch.setattr(devices, "CudaSession", lambda *args, **kwargs: right)
    assert open_backend(red_model, device="cuda") is right
    assert not right.closed


class OddError(Exception):
    """As ONNX Runtime's, TensorRT's and PyCUDA's own, which share no base but Exception."""


@pytest.mark.usefixtures("with_gpu")
@pytest.mark.parametrize(
    "error", [OddError("no kernel image"), RuntimeError("no kernel image"), OSError("no kernel image")]
)
def test_whatever_a_gpu_raises_it_is_left_out(
    error: Exception, red_model: Path, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for opener in ("open_on_tensorrt", "open_on_cuda"):
        monkeypatch.setattr(devices, opener, fail(error))
    with open_backend(red_model, say=said.append) as backend:
        assert backend.name.endswith(", CPU")
    assert said == [
        f"{kind} is not used: {type(error).__name__}: no kernel image" for kind in ("trt", "cuda")
    ]
    with pytest.raises(EnvironmentLacksError, match=r"no kernel image \| .*no kernel image"):
        open_backend(red_model, require_gpu=True)
    for device in ("trt", "cuda", "cuda:1"):
        with pytest.raises(
            EnvironmentLacksError, match=r"--device (trt|cuda): the GPU cannot be used .*no kernel"
        ):
            open_backend(red_model, device=device)


def test_the_facts_are_those_of_the_gpu_that_runs(red_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[dict[str, str]] = []
    monkeypatch.setattr(devices, "read_machine", lambda ordinal=0: replace(GPU, gpu=f"GPU {ordinal}"))
    monkeypatch.setattr(devices, "CudaSession", lambda *args, **kwargs: RedBackend())
    monkeypatch.setattr(devices, "pass_first_use", lambda backend, path, facts, **options: kept.append(facts))
    open_backend(red_model, device="cuda:2")
    assert kept[0]["gpu"] == "GPU 2"


@pytest.fixture
def engines(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Requests for engines; the GPU takes at most 2 windows in one call."""
    asked: list[dict[str, Any]] = []

    def find_engine(path: Path, **options: Any) -> SimpleNamespace:
        asked.append(options)
        return SimpleNamespace(facts=SimpleNamespace(batch=options["batch"] or 8))

    def open_engine(driver: Any, find: Any, *, batch: int | None, **options: Any) -> RedBackend:
        while (batch := find(batch).facts.batch) > 2:
            batch //= 2
        return RedBackend()

    monkeypatch.setattr("glandseg.model.tensorrt.driver.load_driver", lambda: None)
    monkeypatch.setattr("glandseg.model.tensorrt.driver.check_first_kind", lambda driver, ordinal: None)
    monkeypatch.setattr("glandseg.model.tensorrt.backend.EngineBackend", open_engine)
    monkeypatch.setattr("glandseg.model.tensorrt.engine_cache.find_engine", find_engine)
    return asked


def test_engines_of_halved_batches_are_kept_aside(red_model: Path, engines: list[dict[str, Any]]) -> None:
    open_backend(red_model, device="trt")
    assert [(one["batch"], one["halved"]) for one in engines] == [(None, False), (4, True), (2, True)]


@pytest.mark.parametrize("batch", [8, 2])
def test_a_batch_that_was_asked_for_is_not_the_default(
    red_model: Path, engines: list[dict[str, Any]], batch: int
) -> None:
    open_backend(red_model, device="trt", batch=batch)
    assert (engines[0]["batch"], engines[0]["halved"], engines[0]["rebuild"]) == (batch, False, True)


def test_an_engine_that_is_judged_is_never_built(red_model: Path, engines: list[dict[str, Any]]) -> None:
    with pytest.raises(EnvironmentLacksError, match="not enough GPU memory"):
        devices.open_engine_only(red_model)
    assert [one["rebuild"] for one in engines] == [False]
