"""NVIDIA's driver and the GPUs that CUDA sees, asked through the driver's own library."""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from glandseg.core.units import GIB
from glandseg.doctor.finding import Finding, note, ok
from glandseg.model.tensorrt.gpu import NONE, read_machine

OLDEST_DRIVER = 580  # CUDA-13 packages want it
OLDEST_DRIVER_CUDA12 = 535
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NO_DEVICE = 100
_DRIVERS = ("nvcuda.dll",) if os.name == "nt" else ("libcuda.so.1", "libcuda.so")
_UPDATE = f"Update it to r{OLDEST_DRIVER} or newer"


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that CUDA sees.

    Attributes:
        name: of the product.
        capability: major and minor.
        memory: of its own, in bytes.
    """

    name: str
    capability: tuple[int, int]
    memory: int

    @property
    def target(self) -> str:
        """Return the compute capability as TensorRT's targets are spelled, "sm89"."""
        return f"sm{self.capability[0]}{self.capability[1]}"

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{self.name}, compute capability {major}.{minor}, {self.memory / GIB:.0f} GiB"


class DriverError(Exception):
    """NVIDIA's driver is not there, or does not start."""


def look_at_gpus() -> list[Finding]:
    """Say which driver and GPUs there are; without any, that the CPU does the work."""
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
    """Whether `look_at_gpus` found one: only then it speaks of the driver."""
    return any(finding.topic == "driver" for finding in findings)


def list_gpus() -> list[Gpu]:
    """List the GPUs that this process may use.

    Raises:
        DriverError: if there is no driver, it does not start, or it shows no GPU.
    """
    driver = _load_driver()
    if driver is None:
        raise DriverError("no NVIDIA driver")
    if code := driver.cuInit(0):
        raise DriverError("CUDA sees no GPU" if code == _NO_DEVICE else f"CUDA does not start (error {code})")
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    if not count.value:
        raise DriverError("CUDA sees no GPU")
    return [_read_gpu(driver, index) for index in range(count.value)]


def read_release() -> str | None:
    """Read the driver's release, such as "580.65.06", from its library, else from nvidia-smi."""
    release = read_machine().driver
    return _ask_for_release() if release == NONE else release


def _judge_release(release: str | None) -> Finding:
    if release is None:
        return note("driver", "release not readable", f"Check that it is r{OLDEST_DRIVER} or newer.")
    number = int(release.partition(".")[0]) if release.partition(".")[0].isdigit() else 0
    if number >= OLDEST_DRIVER:
        return ok("driver", f"NVIDIA r{release}")
    if number >= OLDEST_DRIVER_CUDA12:
        return note("driver", f"NVIDIA r{release}, too old for CUDA 13", f"{_UPDATE}, or use tensorrt-cu12.")
    return note("driver", f"NVIDIA r{release}, too old for CUDA 12 and 13", f"{_UPDATE}.")


def _read_gpu(driver: Any, index: int) -> Gpu:
    device, name, memory = ctypes.c_int(), ctypes.create_string_buffer(256), ctypes.c_size_t()
    major, minor = ctypes.c_int(), ctypes.c_int()
    driver.cuDeviceGet(ctypes.byref(device), index)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    driver.cuDeviceGetAttribute(ctypes.byref(major), _MAJOR, device)
    driver.cuDeviceGetAttribute(ctypes.byref(minor), _MINOR, device)
    return Gpu(
        name=name.value.decode("utf-8", "replace"),
        capability=(major.value, minor.value),
        memory=memory.value,
    )


def _load_driver() -> Any:
    for name in _DRIVERS:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    return None


def _ask_for_release() -> str | None:
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
