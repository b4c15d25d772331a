"""A device as users write it: auto, cpu, cuda, cuda:1, trt, trt:0."""

from __future__ import annotations

import re
from dataclasses import dataclass

from glandseg.core.errors import BadInputError

DEVICES = ("auto", "cpu", "cuda", "trt")
_WRITTEN = re.compile(r"(?P<kind>auto|cpu|cuda|trt)(?::(?P<ordinal>\d{1,3}))?")


@dataclass(frozen=True, kw_only=True)
class DeviceChoice:
    """A device as requested.

    Attributes:
        kind: One of `DEVICES`: the best that works, the CPU, ONNX Runtime with CUDA, TensorRT.
        ordinal: Number of the GPU, in CUDA's order from 0.
    """

    kind: str
    ordinal: int = 0


def parse_device(text: str) -> DeviceChoice:
    """Parse a device written as "auto", "cpu", "cuda", "cuda:1", "trt" or "trt:1".

    "auto:1" is the best that works on GPU 1.

    Raises:
        BadInputError: if it is none of them.
    """
    found = _WRITTEN.fullmatch(text)
    if found is None or (found["ordinal"] and found["kind"] == "cpu"):
        raise BadInputError(
            f"--device: one of {', '.join(DEVICES)}, or a GPU by number, such as cuda:1. Received: {text}."
        )
    return DeviceChoice(kind=found["kind"], ordinal=int(found["ordinal"] or 0))
