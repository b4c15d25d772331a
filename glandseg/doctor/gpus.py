"""Findings on NVIDIA's driver and the GPUs that CUDA sees."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable

from glandseg.doctor.finding import Finding, note, ok
from glandseg.model.gpu import NONE, DriverError, list_gpus, read_machine

OLDEST_DRIVER = 580  # CUDA-13 packages require it
OLDEST_DRIVER_CUDA12 = 535
_UPDATE = f"Update it to r{OLDEST_DRIVER} or newer"


def look_at_gpus() -> list[Finding]:
    """Report the driver and the GPUs; without a GPU, that the CPU does the work."""
    release = read_release()
    try:
        gpus = list_gpus()
    except DriverError as error:
        if release is None:
            return [ok("GPU", f"none ({error}); the CPU does the work")]
        cure = "Start the machine again; if that does not help, install the driver again."
        return [note("GPU", f"NVIDIA driver r{release}, but {error}", cure)]
    return [_judge_release(release), *(ok("GPU", str(gpu)) for gpu in gpus)]


def sees_gpu(findings: Iterable[Finding]) -> bool:
    """Return whether `look_at_gpus` found a GPU: only then it reports the driver."""
    return any(finding.topic == "driver" for finding in findings)


def read_release() -> str | None:
    """Read the driver's release, "580.65.06", from its library, else from nvidia-smi."""
    release = read_machine().driver
    return _run_nvidia_smi() if release == NONE else release


def _judge_release(release: str | None) -> Finding:
    if release is None:
        return note("driver", "release not readable", f"Check that it is r{OLDEST_DRIVER} or newer.")
    number = int(release.partition(".")[0]) if release.partition(".")[0].isdigit() else 0
    if number >= OLDEST_DRIVER:
        return ok("driver", f"NVIDIA r{release}")
    if number >= OLDEST_DRIVER_CUDA12:
        return note("driver", f"NVIDIA r{release}, too old for CUDA 13", f"{_UPDATE}, or use tensorrt-cu12.")
    return note("driver", f"NVIDIA r{release}, too old for CUDA 12 and 13", f"{_UPDATE}.")


def _run_nvidia_smi() -> str | None:
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    query = [program, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        done = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    lines = done.stdout.split()
    return lines[0] if done.returncode == 0 and lines else None
