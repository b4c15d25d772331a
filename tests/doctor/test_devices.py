"""Devices put to the test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from glandseg.doctor import devices
from glandseg.doctor.devices import check_devices, measure_rate, try_device, try_devices
from glandseg.doctor.finding import Finding, ok, problem
from glandseg.model.files import BUNDLED


def test_the_cpu_runs_the_bundled_model() -> None:
    (finding,) = try_device("cpu", str(BUNDLED), "0.01")
    assert (finding.level, finding.topic) == ("ok", "cpu")
    assert finding.text.startswith("runs: ONNX Runtime ")
    assert " windows/s, " in finding.text
    assert " s for 1 cm2 of tissue" in finding.text


def test_each_device_tells_whether_it_runs_a_model(red_model: Path) -> None:
    findings = try_devices(red_model)
    assert [one.topic for one in findings] == ["cpu", "cuda", "trt"]
    assert findings[0].level == "ok"
    assert "windows/s" not in findings[0].text
    assert all(one.text for one in findings)


@pytest.fixture
def fail_on_gpus(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every device but the CPU fails; gives those that were tried."""
    tried: list[str] = []

    def run_check(topic: str, check: Any, *arguments: str, timeout_s: float) -> list[Finding]:
        tried.append(arguments[0])
        return [ok(topic, "runs") if topic == "cpu" else problem(topic, "no")]

    monkeypatch.setattr(devices, "run_isolated", run_check)
    return tried


@pytest.mark.parametrize(
    ("asked", "gpu", "tried", "levels"),
    [
        ("auto", False, ["cpu"], ["ok"]),
        ("cpu", True, ["cpu", "cuda", "trt"], ["ok", "note", "note"]),
        ("cuda", False, ["cpu", "cuda"], ["ok", "problem"]),
        ("trt:1", True, ["cpu", "cuda", "trt:1"], ["ok", "note", "problem"]),
    ],
)
def test_only_the_asked_device_must_run(
    asked: str, gpu: bool, tried: list[str], levels: list[str], fail_on_gpus: list[str]
) -> None:
    assert [one.level for one in check_devices(asked, gpu)] == levels
    assert fail_on_gpus == tried


def test_the_rate_counts_windows() -> None:
    class Counting:
        calls = 0

        def infer(self, windows: NDArray[np.uint8]) -> NDArray[np.uint8]:
            self.calls += 1
            return windows

    backend: Any = Counting()
    rate = measure_rate(backend, np.zeros((4, 1, 1, 3), np.uint8), 0.05)
    assert 0 < rate <= 4 * backend.calls / 0.05
