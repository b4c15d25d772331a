"""A fingerprint to vary with `dataclasses.replace`."""

from __future__ import annotations

from glandseg.model.tensorrt.fingerprint import Fingerprint

FINGERPRINT = Fingerprint(
    onnx_sha256="a" * 64,
    weights_sha256="b" * 64,
    package="tensorrt",
    version="11.4.0.106",
    system="Linux x86_64",
    gpu="NVIDIA L40S",
    compute_capability="8.9",
    driver="580.1",
    cuda="13.0",
    profile=(8, 320, 320, 3),
    precision="float16",
    share=0.9,
    measured_on="engine",
    layers={"conv": {"float16": 9, "float32": 1}},
    card={"name": "small", "scales": [1.0]},
)
