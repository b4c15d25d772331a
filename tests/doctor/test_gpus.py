"""Findings on NVIDIA's driver and its GPUs."""

from __future__ import annotations

import shutil
import subprocess
from typing import Any

import pytest

from glandseg.doctor import gpus as graphics
from glandseg.doctor.gpus import look_at_gpus, read_release, sees_gpu
from glandseg.model.gpu import DriverError, Gpu, Machine

GPUS = [Gpu(name=f"RTX {number}", capability=(8, 9), memory=24 << 30) for number in range(2)]


@pytest.fixture
def set_driver(monkeypatch: pytest.MonkeyPatch) -> Any:
    def put(gpus: list[Gpu] | str, release: str | None = "580.65.06") -> None:
        def find() -> list[Gpu]:
            if isinstance(gpus, str):
                raise DriverError(gpus)
            return gpus

        monkeypatch.setattr(graphics, "list_gpus", find)
        monkeypatch.setattr(graphics, "read_release", lambda: release)

    return put


def test_gpus_are_reported(set_driver: Any) -> None:
    set_driver(GPUS)
    findings = look_at_gpus()
    assert [one.text for one in findings] == [
        "NVIDIA r580.65.06",
        "RTX 0, compute capability 8.9, 24 GiB",
        "RTX 1, compute capability 8.9, 24 GiB",
    ]
    assert {one.level for one in findings} == {"ok"}
    assert sees_gpu(findings)


def test_no_gpu(set_driver: Any) -> None:
    set_driver("no NVIDIA driver", None)
    (finding,) = look_at_gpus()
    assert (finding.level, finding.text) == ("ok", "none (no NVIDIA driver); the CPU does the work")
    assert not sees_gpu([finding])


def test_a_driver_without_gpu_is_worth_a_note(set_driver: Any) -> None:
    set_driver("CUDA does not start (error 999)", "580.65.06")
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
    set_driver(GPUS, release)
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
