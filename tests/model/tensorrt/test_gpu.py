"""What the driver says of this machine."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import pytest

from glandseg.model.tensorrt import gpu as machine
from glandseg.model.tensorrt.gpu import Machine, read_cudnn_version, read_machine


class Driver:
    """Answers as the driver of an RTX 4090 does."""

    failing = ""
    ordinal = 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            if name == self.failing:
                return 999
            if name == "cuDriverGetVersion":
                arguments[0]._obj.value = 13010
            elif name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 9}[arguments[1]]
            elif name == "cuDeviceGet":
                self.ordinal = arguments[1]
            elif name == "cuDeviceGetName":
                arguments[0].value = (b"NVIDIA GeForce RTX 4090", b"NVIDIA T4")[self.ordinal]
            elif name == "cudnnGetVersion":
                return 91002
            elif name == "nvmlSystemGetDriverVersion":
                arguments[0].value = b"580.95.05"
            return 0

        call.__name__ = name
        return call


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Driver:
    found = Driver()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: found)
    return found


def test_the_first_gpu_is_told(driver: Driver) -> None:
    assert read_machine() == Machine(
        system=f"{platform.system()} {platform.machine()}",
        gpu="NVIDIA GeForce RTX 4090",
        compute_capability="8.9",
        driver="580.95.05",
        cuda="13.1",
    )
    assert read_machine().target == "sm89"


def test_a_driver_without_gpu_leaves_the_gpu_out(driver: Driver) -> None:
    driver.failing = "cuDeviceGet"
    found = read_machine()
    assert (found.gpu, found.compute_capability, found.target) == ("none", "none", None)
    assert (found.cuda, found.driver) == ("13.1", "580.95.05")


def test_no_driver_leaves_all_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_DRIVER", "no-such-library.so")
    monkeypatch.setattr(machine, "_MANAGEMENT", "no-such-library.so")
    assert read_machine() == Machine(system=f"{platform.system()} {platform.machine()}")


def test_the_gpu_that_is_asked_for_is_told(driver: Driver) -> None:
    assert read_machine(1).gpu == "NVIDIA T4"


def test_the_version_of_cudnn_is_told(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_cudnn_version() == "9.10.2"

    def fail(name: str) -> Any:
        raise OSError(name)

    monkeypatch.setattr(ctypes, "CDLL", fail)
    assert read_cudnn_version() == "none"
