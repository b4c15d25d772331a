"""All looks, in the order in which they are told: the computer, the libraries, the models, the devices."""

from __future__ import annotations

from collections.abc import Iterator

from glandseg.doctor.computer import (
    look_at_disks,
    look_at_memory,
    look_at_processor,
    look_at_python,
    look_at_system,
)
from glandseg.doctor.devices import look_at_devices, name_needed
from glandseg.doctor.engines import look_at_onnxruntime, look_at_pycuda, look_at_tensorrt
from glandseg.doctor.finding import Finding
from glandseg.doctor.gpus import look_at_gpus, sees_gpu
from glandseg.doctor.isolation import look, look_apart
from glandseg.doctor.libraries import look_at_imaging, look_at_openslide, look_at_training
from glandseg.doctor.models import look_at_models
from glandseg.doctor.offline import look_at_telemetry, look_offline
from glandseg.model.device import parse_device

LOOKS = {
    "Python": look_at_python,
    "system": look_at_system,
    "processor": look_at_processor,
    "memory": look_at_memory,
    "disk": look_at_disks,
    "models": look_at_models,
    "imaging": look_at_imaging,
    "OpenSlide": look_at_openslide,
    "training": look_at_training,
    "ONNX Runtime": look_at_onnxruntime,
    "TensorRT": look_at_tensorrt,
    "PyCUDA": look_at_pycuda,
    "telemetry": look_at_telemetry,
}
# These load no native libraries; the others run in a process of their own.
HARMLESS = ("Python", "system", "disk", "models", "training", "telemetry")


def examine(device: str = "auto", *, offline: bool = False) -> Iterator[Finding]:
    """Look at everything, and give each finding as it comes.

    Args:
        device: that must run; "auto" asks for the CPU.
        offline: prove too that nothing needs the network.

    Raises:
        BadInputError: if there is no such device.
    """
    parse_device(device)
    for topic, probe in LOOKS.items():
        yield from (look if topic in HARMLESS else look_apart)(topic, probe)
    gpus = look_apart("GPU", look_at_gpus)
    yield from gpus
    yield from look_at_devices(device, sees_gpu(gpus))
    if offline:
        yield from look_offline(name_needed(device))
