"""What NVIDIA's libraries report of this machine."""

from __future__ import annotations

import ctypes
import platform
from typing import Any

import pytest

from glandseg.model.gpu import DriverError, Machine, list_gpus, read_cudnn_version, read_machine


class Driver:
    """Stands for NVIDIA's libraries on a computer with an RTX 4090 and a T4.

    Attributes:
        failing: Function that fails with the code.
        code: Error code of the failing function.
        count: Number of GPUs.
    """

    failing = ""
    code = 999
    count = 2
    ordinal = 0

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> int:
            if name == self.failing:
                return self.code
            if name == "cuDriverGetVersion":
                arguments[0]._obj.value = 13010
            elif name == "cuDeviceGetCount":
                arguments[0]._obj.value = self.count
            elif name == "cuDeviceGetAttribute":
                arguments[0]._obj.value = {75: 8, 76: 9}[arguments[1]]
            elif name == "cuDeviceTotalMem_v2":
                arguments[0]._obj.value = 24 << 30
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


def test_the_first_gpu_is_read(driver: Driver) -> None:
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


def refuse(name: str) -> Any:
    raise OSError(name)


def test_no_driver_leaves_all_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert read_machine() == Machine(system=f"{platform.system()} {platform.machine()}")
    with pytest.raises(DriverError, match="no NVIDIA driver"):
        list_gpus()


def test_all_gpus_are_listed(driver: Driver) -> None:
    first, second = list_gpus()
    assert str(first) == "NVIDIA GeForce RTX 4090, compute capability 8.9, 24 GiB"
    assert (second.name, second.target) == ("NVIDIA T4", "sm89")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"failing": "cuInit", "code": 100}, "CUDA sees no GPU"),
        ({"failing": "cuInit", "code": 804}, r"CUDA does not start \(error 804\)"),
        ({"count": 0}, "CUDA sees no GPU"),
        ({"failing": "cuDeviceGetName"}, r"cuDeviceGetName fails \(error 999\)"),
    ],
)
def test_a_driver_that_shows_no_gpu(changes: dict[str, Any], message: str, driver: Driver) -> None:
    vars(driver).update(changes)
    with pytest.raises(DriverError, match=message):
        list_gpus()
    assert read_machine().driver == "580.95.05"


def test_the_gpu_that_is_asked_for_is_read(driver: Driver) -> None:
    assert read_machine(1).gpu == "NVIDIA T4"


def test_the_version_of_cudnn_is_read(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    assert read_cudnn_version() == "9.10.2"
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    assert read_cudnn_version() == "none"
