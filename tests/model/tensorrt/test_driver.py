"""NVIDIA's driver, or one clear line."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any

import pytest

from glandseg.core.errors import EnvironmentLacksError
from glandseg.model.tensorrt.driver import check_first_kind, held_context, load_driver
from tests.model.tensorrt.fake_cuda import FakeCuda

MISSING = "libcuda.so.1: cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("No module named 'pycuda'", r"cannot be imported .*make pycuda"),
        (MISSING, r"no NVIDIA driver \(libcuda.*Install NVIDIA's driver"),
        ("DLL load failed while importing _driver: The specified module", "no NVIDIA driver"),
    ],
)
def test_what_is_missing_is_reported(says: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise ImportError(says)

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(EnvironmentLacksError, match=message) as caught:
        load_driver()
    assert "\n" not in str(caught.value)


def test_a_driver_that_does_not_start(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = cuda.module()

    def fail() -> None:
        raise driver.Error("cuInit failed: no CUDA-capable device is detected")

    driver.init = fail
    monkeypatch.setattr(importlib, "import_module", lambda name: driver)
    with pytest.raises(EnvironmentLacksError, match="does not start .cuInit failed: no CUDA-capable"):
        load_driver()


def test_a_machine_without_gpus(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = cuda.module()
    driver.Device = SimpleNamespace(count=lambda: 0)
    monkeypatch.setattr(importlib, "import_module", lambda name: driver)
    with pytest.raises(EnvironmentLacksError, match="shows no GPU"):
        load_driver()


def test_a_driver_is_started(cuda: FakeCuda, monkeypatch: pytest.MonkeyPatch) -> None:
    driver = cuda.module()
    monkeypatch.setattr(importlib, "import_module", lambda name: driver)
    assert load_driver() is driver


def test_a_context_is_let_go_of(cuda: FakeCuda) -> None:
    with pytest.raises(RuntimeError, match="inside"), held_context(cuda.module(), 0):
        assert cuda.current()
        raise RuntimeError("inside")


def test_gpus_must_be_of_the_first_kind(cuda: FakeCuda) -> None:
    driver = cuda.module()
    check_first_kind(driver, 0)
    with pytest.raises(EnvironmentLacksError, match="GPU 3: no such GPU, the driver shows 1"):
        check_first_kind(driver, 3)

    class Device:
        def __init__(self, ordinal: int) -> None:
            self.ordinal = ordinal

        @staticmethod
        def count() -> int:
            return 3

        def name(self) -> str:
            return "ABB"[self.ordinal]

    driver.Device = Device
    with pytest.raises(EnvironmentLacksError, match="trt:2: is B, .* GPU, A. Set CUDA_VISIBLE_DEVICES=2"):
        check_first_kind(driver, 2)


def test_a_stale_cuda_path_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(name: str) -> Any:
        raise FileNotFoundError(2, "The system cannot find the path specified", "C:/CUDA/v11/bin")

    monkeypatch.setattr(importlib, "import_module", load)
    with pytest.raises(EnvironmentLacksError, match="C:/CUDA/v11/bin.* Let CUDA_PATH name the CUDA that is"):
        load_driver()


def test_a_lost_gpu_leaves_no_context_on_the_stack(cuda: FakeCuda) -> None:
    driver = cuda.module()
    with pytest.raises(driver.Error, match="device unavailable"), held_context(driver, 0):
        cuda.lost = True
    assert not cuda.stack()  # a context left there aborts the process when the thread ends
    assert cuda.retained == 0
