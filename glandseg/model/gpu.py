"""The GPUs, their driver and cuDNN, read from NVIDIA's own libraries; no CUDA context is made.

These need neither PyCUDA nor TensorRT: a computer without them must still learn which GPU it has, and an
engine must not be loaded before GPU and driver are known to fit. A context would take GPU memory for good.
"""

from __future__ import annotations

import contextlib
import ctypes
import platform
from dataclasses import dataclass
from typing import Any

from glandseg.core.units import GIB

NONE = "none"
_ON_WINDOWS = platform.system() == "Windows"
_DRIVERS = ("nvcuda.dll",) if _ON_WINDOWS else ("libcuda.so.1", "libcuda.so")
_MANAGEMENT = ("nvml.dll",) if _ON_WINDOWS else ("libnvidia-ml.so.1",)
_CUDNN = ("cudnn64_9.dll",) if _ON_WINDOWS else ("libcudnn.so.9",)
_NAME_BYTES = 256
_MAJOR, _MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NO_DEVICE = 100


class DriverError(Exception):
    """NVIDIA's driver is missing, does not start, or refuses a call."""


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """A GPU that CUDA sees.

    Attributes:
        name: Product name.
        capability: Compute capability, major and minor.
        memory: Bytes of its own memory.
    """

    name: str
    capability: tuple[int, int]
    memory: int

    @property
    def target(self) -> str:
        """Return the compute capability as `--target` spells it, "sm89"."""
        return f"sm{self.capability[0]}{self.capability[1]}"

    def __str__(self) -> str:
        major, minor = self.capability
        return f"{self.name}, compute capability {major}.{minor}, {self.memory / GIB:.0f} GiB"


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where an engine is built or run; "none" where unknown.

    Attributes:
        system: Operating system and processor.
        gpu: Product name of the GPU.
        compute_capability: "8.9".
        driver: Release of the driver, "580.95.05".
        cuda: Newest CUDA that the driver runs, "13.0".
    """

    system: str
    gpu: str = NONE
    compute_capability: str = NONE
    driver: str = NONE
    cuda: str = NONE

    @property
    def target(self) -> str | None:
        """Return the GPU's compute capability as `--target` spells it, "sm89"; None without a GPU."""
        return None if self.compute_capability == NONE else "sm" + self.compute_capability.replace(".", "")


def read_machine(ordinal: int = 0) -> Machine:
    """Read what this machine has.

    Args:
        ordinal: Number of the GPU, in CUDA's order from 0.
    """
    facts: dict[str, str] = {}
    with contextlib.suppress(DriverError, AttributeError):
        driver = _start_driver()
        facts["cuda"] = _read_cuda_version(driver)
        gpu = _read_gpu(driver, ordinal)
        facts |= {"gpu": gpu.name, "compute_capability": "{}.{}".format(*gpu.capability)}
    with contextlib.suppress(DriverError, AttributeError):
        facts["driver"] = _read_release()
    return Machine(system=f"{platform.system()} {platform.machine()}", **facts)


def list_gpus() -> list[Gpu]:
    """List the GPUs that this process may use.

    Raises:
        DriverError: if there is no driver, it does not start, or it shows no GPU.
    """
    driver, count = _start_driver(), ctypes.c_int()
    _call(driver.cuDeviceGetCount, ctypes.byref(count))
    if not count.value:
        raise DriverError("CUDA sees no GPU")
    return [_read_gpu(driver, ordinal) for ordinal in range(count.value)]


def read_cudnn_version() -> str:
    """Read the version of the cuDNN that ONNX Runtime computes with, "9.10.2"; "none" where unknown."""
    with contextlib.suppress(DriverError, AttributeError):
        library = _load(_CUDNN)
        library.cudnnGetVersion.restype = ctypes.c_size_t
        number = int(library.cudnnGetVersion())
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return NONE


def _start_driver() -> Any:
    driver = _load(_DRIVERS)
    if code := driver.cuInit(0):
        raise DriverError("CUDA sees no GPU" if code == _NO_DEVICE else f"CUDA does not start (error {code})")
    return driver


def _read_cuda_version(driver: Any) -> str:
    number = ctypes.c_int()
    _call(driver.cuDriverGetVersion, ctypes.byref(number))
    return f"{number.value // 1000}.{number.value % 1000 // 10}"


def _read_gpu(driver: Any, ordinal: int) -> Gpu:
    device, memory, name = ctypes.c_int(), ctypes.c_size_t(), ctypes.create_string_buffer(_NAME_BYTES)
    major, minor = ctypes.c_int(), ctypes.c_int()
    _call(driver.cuDeviceGet, ctypes.byref(device), ordinal)
    _call(driver.cuDeviceGetName, name, _NAME_BYTES, device)
    _call(driver.cuDeviceTotalMem_v2, ctypes.byref(memory), device)
    _call(driver.cuDeviceGetAttribute, ctypes.byref(major), _MAJOR, device)
    _call(driver.cuDeviceGetAttribute, ctypes.byref(minor), _MINOR, device)
    return Gpu(
        name=name.value.decode(errors="replace"), capability=(major.value, minor.value), memory=memory.value
    )


def _read_release() -> str:
    management, version = _load(_MANAGEMENT), ctypes.create_string_buffer(_NAME_BYTES)
    _call(management.nvmlInit_v2)
    try:
        _call(management.nvmlSystemGetDriverVersion, version, _NAME_BYTES)
    finally:
        management.nvmlShutdown()
    return version.value.decode(errors="replace")


def _load(names: tuple[str, ...]) -> Any:
    for name in names:
        with contextlib.suppress(OSError):
            return ctypes.CDLL(name)
    raise DriverError("no NVIDIA driver")


def _call(function: Any, *arguments: Any) -> None:
    if code := function(*arguments):
        raise DriverError(f"{function.__name__} fails (error {code})")
