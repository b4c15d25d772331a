"""What a plan depends on that no TensorRT library tells: the GPU, its driver, the system."""

from __future__ import annotations

import contextlib
import ctypes
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

NONE = "none"
_DRIVER = {"Windows": "nvcuda.dll"}.get(platform.system(), "libcuda.so.1")
_MANAGEMENT = {"Windows": "nvml.dll"}.get(platform.system(), "libnvidia-ml.so.1")
_CUDNN = {"Windows": "cudnn64_9.dll"}.get(platform.system(), "libcudnn.so.9")
_NAME_BYTES = 256
_MAJOR, _MINOR = 75, 76  # attributes of a device: its compute capability


@dataclass(frozen=True, kw_only=True)
class Machine:
    """Where an engine is built or run; "none" where it cannot be told.

    Attributes:
        system: operating system and processor.
        gpu: name of the GPU.
        compute_capability: of that GPU, "8.9".
        driver: version of its driver, "580.95.05".
        cuda: the newest CUDA that the driver runs, "13.0".
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
    """Ask the driver what this machine has; no CUDA context is made.

    Args:
        ordinal: of the GPU, in CUDA's order from 0.
    """
    facts: dict[str, str] = {}
    with contextlib.suppress(OSError, AttributeError, _RefusedError):
        facts.update(_ask_driver(ctypes.CDLL(_DRIVER), ordinal))
    with contextlib.suppress(OSError, AttributeError, _RefusedError):
        facts.update(_ask_management(ctypes.CDLL(_MANAGEMENT)))
    return Machine(system=f"{platform.system()} {platform.machine()}", **facts)


def read_cudnn_version() -> str:
    """Read the version of cuDNN that ONNX Runtime computes with, "9.10.2"; "none" where it cannot be told."""
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(_CUDNN)
        library.cudnnGetVersion.restype = ctypes.c_size_t
        number = int(library.cudnnGetVersion())
        return f"{number // 10000}.{number // 100 % 100}.{number % 100}"
    return NONE


class _RefusedError(Exception):
    """A call into the driver failed."""


def _ask_driver(driver: Any, ordinal: int) -> Iterator[tuple[str, str]]:
    number, device, name = ctypes.c_int(), ctypes.c_int(), ctypes.create_string_buffer(_NAME_BYTES)
    _call(driver.cuInit, 0)
    _call(driver.cuDriverGetVersion, ctypes.byref(number))
    yield "cuda", f"{number.value // 1000}.{number.value % 1000 // 10}"
    _call(driver.cuDeviceGet, ctypes.byref(device), ordinal)
    _call(driver.cuDeviceGetName, name, _NAME_BYTES, device)
    yield "gpu", name.value.decode(errors="replace")
    capability = []
    for attribute in (_MAJOR, _MINOR):
        _call(driver.cuDeviceGetAttribute, ctypes.byref(number), attribute, device)
        capability.append(str(number.value))
    yield "compute_capability", ".".join(capability)


def _ask_management(management: Any) -> Iterator[tuple[str, str]]:
    version = ctypes.create_string_buffer(_NAME_BYTES)
    _call(management.nvmlInit_v2)
    try:
        _call(management.nvmlSystemGetDriverVersion, version, _NAME_BYTES)
        yield "driver", version.value.decode(errors="replace")
    finally:
        management.nvmlShutdown()


def _call(function: Any, *arguments: Any) -> None:
    if function(*arguments) != 0:
        raise _RefusedError(function.__name__)
