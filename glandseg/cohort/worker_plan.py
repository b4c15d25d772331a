"""How many workers run a cohort on this machine, on which devices, and with what share of it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace

from glandseg.cohort.slide_runner import CohortJob
from glandseg.core.errors import BadInputError
from glandseg.core.system import count_cpus
from glandseg.model.device import parse_device
from glandseg.model.gpu import DriverError, list_gpus
from glandseg.runtime.settings import MIN_RAM_GIB

AUTO = "auto"
GIB_PER_WORKER = 1.0  # where their number is "auto"
MAX_WORKERS = 256


def plan_workers(job: CohortJob, workers: str, devices: Sequence[str], slides: int) -> list[CohortJob]:
    """Share the machine among workers: a device, CPU threads and memory each.

    Args:
        job: What to do with each slide; its device does not count.
        workers: Number of workers; "auto" for one per GPU, or per CPU and GiB where there is none:
            two workers of one thread are faster than one of two.
        devices: Devices, which the workers take in turn.
        slides: Number of slides, beyond which workers would have nothing to do.

    Raises:
        BadInputError: The number is none, or the memory is too little for each.
    """
    choices = [parse_device(device) for device in devices]
    uses_gpu = any(choice.kind in ("cuda", "trt") for choice in choices)
    gpus = 0 if choices[0].kind == "cpu" else _count_gpus()
    if workers == AUTO and len(devices) == 1 and gpus > 1 and ":" not in devices[0]:
        devices = [f"{devices[0]}:{ordinal}" for ordinal in range(gpus)]
    share = uses_gpu or gpus > 0
    count = max(1, min(_count(workers, len(devices), share, job), slides))
    ram = job.settings.max_ram_gib / count
    if ram < MIN_RAM_GIB:
        raise BadInputError(
            f"--workers {count}: --max-ram {job.settings.max_ram_gib:g} is {ram:.2g} GiB for each, and one "
            f"needs {MIN_RAM_GIB:g}. Give more memory or fewer workers."
        )
    threads = job.model.threads or (0 if count == 1 else max(1, count_cpus() // count))
    settings = replace(job.settings, max_ram_gib=ram)
    return [
        replace(
            job,
            settings=settings,
            model=replace(job.model, device=devices[number % len(devices)], threads=threads),
        )
        for number in range(count)
    ]


def _count(workers: str, devices: int, has_gpu: bool, job: CohortJob) -> int:
    if workers == AUTO:
        fitting = max(1, int(job.settings.max_ram_gib / GIB_PER_WORKER))
        return devices if has_gpu or devices > 1 else min(count_cpus(), fitting)
    if not workers.isdecimal() or not 1 <= int(workers) <= MAX_WORKERS:
        raise BadInputError(f"--workers: {AUTO}, or a number of 1 to {MAX_WORKERS}. Received: {workers}")
    return int(workers)


def _count_gpus() -> int:
    with contextlib.suppress(DriverError, AttributeError):
        return len(list_gpus())
    return 0
