"""NVIDIA's driver and GPUs, with a driver made of Python."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from typing import Any

import pytest

from glandseg.doctor import gpus as graphics
from glandseg.doctor.gpus import DriverError, list_gpus, look_at_gpus, read_release, sees_gpu
from glandseg.model.tensorrt.gpu import Machine


class FakeDriver:
    """Stands for libcuda: two GPUs of compute capability 8.9."""

    def __init__(self, code: int = 0, count: int = 2) -> None:
        self.code, self.count = code, count

    def cuInit(self, flags: int) -> int:
        return self.code

    def cuDeviceGetCount(self, count: Any) -> int:
        count._obj.value = self.count
        return 0

    def cuDeviceGet(self, device: Any, index: int) -> int:
        device._obj.value = index
        return 0

    def cuDeviceGetName(self, name: Any, size: int, device: ctypes.c_int) -> int:
        name.value = f"RTX {device.value}".encode()
        return 0

    def cuDeviceTotalMem_v2(self, memory: Any, device: ctypes.c_int) -> int:
        memory._obj.value = 24 << 30
        return 0

    def cuDeviceGetAttribute(self, value: Any, attribute: int, device: ctypes.c_int) -> int:
        value._obj.value = {75: 8, 76: 9}[attribute]
        return 0


@pytest.fixture
def set_driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(driver: FakeDriver | None, release: str | None = "580.65.06") -> None:
        monkeypatch.setattr(graphics, "_load_driver", lambda: driver)
        monkeypatch.setattr(graphics, "read_release", lambda: release)

    return put


def test_gpus_are_told(set_driver: Any) -> None:
    set_driver(FakeDriver())
    findings = look_at_gpus()
    assert [one.text for one in findings] == [
        "NVIDIA r580.65.06",
        "RTX 0, compute capability 8.9, 24 GiB",
        "RTX 1, compute capability 8.9, 24 GiB",
    ]
    assert {one.level for one in findings} == {"ok"}
    assert sees_gpu(findings)


@pytest.mark.parametrize(
    ("driver", "says"),
    [
        (None, "no NVIDIA driver"),
        (FakeDriver(code=100), "CUDA sees no GPU"),
        (FakeDriver(count=0), "CUDA sees no GPU"),
        (FakeDriver(code=804), "CUDA does not start (error 804)"),
    ],
)
def test_no_gpu(driver: FakeDriver | None, says: str, set_driver: Any) -> None:
    set_driver(driver, None)
    (finding,) = look_at_gpus()
    assert (finding.level, finding.text) == ("ok", f"none ({says}); the CPU does the work")
    assert not sees_gpu([finding])
    with pytest.raises(DriverError):
        list_gpus()


def test_a_driver_without_gpu_is_worth_a_note(set_driver: Any) -> None:
    set_driver(FakeDriver(code=999), "580.65.06")
    (finding,) = look_at_gpus()
    assert finding.level == "note"
    assert "error 999" in finding.text
    assert finding.cure


@pytest.mark.parametrize(
    ("release", "level", "says"),
    [
        ("580.65.06", "ok", ""),
        ("535.104", "note", "too old for CUDA 13"),
        ("470.1", "note", "too old for CUDA 12 and 13"),
        ("odd", "note", "too old for CUDA 12 and 13"),
        (None, "note", "not readable"),
    ],
)
def test_releases(release: str | None, level: str, says: str, set_driver: Any) -> None:
    set_driver(FakeDriver(), release)
    driver = look_at_gpus()[0]
    assert (driver.topic, driver.level) == ("driver", level)
    assert says in driver.text
    assert bool(driver.cure) == (level == "note")


def test_nvidia_smi_is_asked_last(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphics, "read_machine", lambda: Machine(system=""))
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert read_release() is None
    monkeypatch.setattr(shutil, "which", lambda name: name)
    done = subprocess.CompletedProcess([], 0, "535.1\n535.1\n", "")
    monkeypatch.setattr(subprocess, "run", lambda *arguments, **options: done)
    assert read_release() == "535.1"
    monkeypatch.setattr(
        subprocess, "run", lambda *arguments, **options: subprocess.CompletedProcess([], 9, "no", "")
    )
    assert read_release() is None

    def hang(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 20)

    monkeypatch.setattr(subprocess, "run", hang)
    assert read_release() is None
