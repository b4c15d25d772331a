"""How workers share a machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from glandseg.cohort.worker_plan import plan_workers
from glandseg.core.errors import BadInputError
from glandseg.model.gpu import DriverError, Gpu
from tests.cohort.cohort_folder import make_job

JOB = make_job(Path("m.onnx"), max_ram_gib=4.0)


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 0)
    monkeypatch.setattr("glandseg.cohort.worker_plan.count_cpus", lambda: 16)


def set_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    def list_gpus() -> list[Gpu]:
        if not count:
            raise DriverError("no NVIDIA driver")
        return [Gpu(name="GPU", capability=(9, 0), memory=1)] * count

    monkeypatch.setattr("glandseg.cohort.worker_plan.list_gpus", list_gpus)


def plan(workers: str, devices: str = "auto", slides: int = 100) -> list[tuple[str, int, float]]:
    job = JOB
    object.__setattr__(job.model, "threads", 0)
    jobs = plan_workers(job, workers, devices.split(","), slides)
    return [(one.model.device, one.model.threads, one.settings.max_ram_gib) for one in jobs]


@pytest.mark.parametrize(
    ("workers", "devices", "slides", "expected"),
    [
        ("1", "auto", 100, [("auto", 0, 4.0)]),
        ("2", "cpu", 100, [("cpu", 8, 2.0)] * 2),
        ("auto", "cpu", 100, [("cpu", 4, 1.0)] * 4),
        ("auto", "cpu", 3, [("cpu", 5, 4 / 3)] * 3),
        ("auto", "cuda:0,cuda:1", 100, [("cuda:0", 8, 2.0), ("cuda:1", 8, 2.0)]),
        ("4", "cuda:0,cuda:1", 100, [("cuda:0", 4, 1.0), ("cuda:1", 4, 1.0)] * 2),
    ],
)
def test_workers_share_devices_threads_and_memory(
    workers: str, devices: str, slides: int, expected: list[tuple[str, int, float]]
) -> None:
    assert plan(workers, devices, slides) == expected


def test_each_gpu_gets_a_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    set_gpus(monkeypatch, 2)
    assert [device for device, *_ in plan("auto")] == ["auto:0", "auto:1"]
    assert [device for device, *_ in plan("auto", "trt")] == ["trt:0", "trt:1"]
    assert [device for device, *_ in plan("auto", "cuda:1")] == ["cuda:1"]
    assert [device for device, *_ in plan("auto", "cpu")] == ["cpu"] * 4


@pytest.mark.parametrize("workers", ["0", "-1", "two", "1.5", "", "100000"])
def test_what_is_no_number_of_workers(workers: str) -> None:
    with pytest.raises(BadInputError, match="--workers: auto, or a number"):
        plan(workers)


def test_too_little_memory_for_all_is_said() -> None:
    with pytest.raises(
        BadInputError, match=r"--workers 16: --max-ram 4 is 0.25 GiB for each, and one needs 0.5"
    ):
        plan("16")
