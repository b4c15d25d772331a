"""All checks of this machine in their order: computer, libraries, models, devices."""

from __future__ import annotations

from collections.abc import Iterator

from glandseg.doctor.computer import (
    check_disks,
    check_memory,
    check_processor,
    check_python,
    check_system,
)
from glandseg.doctor.devices import check_devices, name_needed
from glandseg.doctor.engines import check_onnxruntime, check_pycuda, check_tensorrt
from glandseg.doctor.finding import Finding
from glandseg.doctor.gpus import look_at_gpus, sees_gpu
from glandseg.doctor.isolation import run_check, run_isolated
from glandseg.doctor.libraries import check_imaging, check_openslide, check_training
from glandseg.doctor.models import check_models
from glandseg.doctor.offline import check_offline, check_telemetry
from glandseg.model.device import parse_device

CHECKS = {
    "Python": check_python,
    "system": check_system,
    "processor": check_processor,
    "memory": check_memory,
    "disk": check_disks,
    "models": check_models,
    "imaging": check_imaging,
    "OpenSlide": check_openslide,
    "training": check_training,
    "ONNX Runtime": check_onnxruntime,
    "TensorRT": check_tensorrt,
    "PyCUDA": check_pycuda,
    "telemetry": check_telemetry,
}
# Checks without native libraries; the others run in a process of their own.
IN_PROCESS = ("Python", "system", "disk", "models", "training", "telemetry")


def examine(device: str = "auto", *, offline: bool = False) -> Iterator[Finding]:
    """Run all checks, and yield each finding when it is known.

    Args:
        device: Device that must run; "auto" for the CPU.
        offline: Whether to prove that nothing needs the network.

    Raises:
        BadInputError: There is no such device.
    """
    parse_device(device)
    for topic, check in CHECKS.items():
        yield from (run_check if topic in IN_PROCESS else run_isolated)(topic, check)
    gpus = run_isolated("GPU", look_at_gpus)
    yield from gpus
    yield from check_devices(device, sees_gpu(gpus))
    if offline:
        yield from check_offline(name_needed(device))
