"""Count the layers that compute in each number type, as the engine reports or, failing that, its network.

TensorRT may compute a layer in float32 although its network is in float16, silently and slowly. Only the
engine's inspector shows what it does, and it spells number types differently in every generation.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glandseg.core.errors import GlandsegError
from glandseg.model.tensorrt.package import TensorRtPackage

# Minimum fraction of layers in the requested number type; an engine that fell back has next to none.
MIN_SHARE = {"float16": 0.25, "int8": 0.1}
# How TensorRT spells number types, in networks and in two generations of inspectors; the first that fits.
_SPELLINGS = (
    ("bfloat16", ("bfloat16", "bf16")),
    ("float16", ("half", "fp16", "float16")),
    ("float8", ("fp8", "float8")),
    ("int8", ("int8",)),
    ("float32", ("float", "fp32")),
)
_NOT_COUNTED = ("CONSTANT", "SHAPE", "QUANTIZE", "DEQUANTIZE")

Layers = Mapping[str, Mapping[str, int]]


@dataclass(frozen=True, kw_only=True)
class LayerCount:
    """Layers that take floating-point or quantised numbers.

    Attributes:
        layers: Number of layers, by type of layer, then by number type.
        measured_on: "engine", as built and fused, or "network", as read, whose types the engine must keep.
    """

    layers: Layers
    measured_on: str

    def share(self, precision: str) -> float:
        """Return the fraction of layers that compute in a number type, 0..1."""
        total = sum(sum(kinds.values()) for kinds in self.layers.values())
        return sum(kinds.get(precision, 0) for kinds in self.layers.values()) / max(total, 1)


def check_share(count: LayerCount, precision: str, name: str) -> None:
    """Refuse a network that does not compute in the requested number type.

    Raises:
        GlandsegError: if next to no layer does.
    """
    share, minimum = count.share(precision), MIN_SHARE.get(precision, 0.0)
    if share < minimum:
        raise GlandsegError(
            f"{name}: {precision} was requested, but {share:.0%} of the layers of its {count.measured_on} "
            f"compute so; at least {minimum:.0%} must. Not kept. Export the model again."
        )


def describe_doubt(count: LayerCount, precision: str) -> str:
    """Return a warning where the inspector counts few layers in a precision, else an empty text.

    Inspectors differ in what they call a type, so their count alone refuses no engine: parity decides.
    """
    share, minimum = count.share(precision), MIN_SHARE.get(precision, 0.0)
    if share >= minimum:
        return ""
    return (
        f"warning: {share:.0%} of the layers of its {count.measured_on} are counted in {precision}, below "
        f"{minimum:.0%}; the comparison with the CPU decides"
    )


def count_network(network: Any) -> LayerCount:
    """Count the layers of a network that was read from an ONNX file.

    A layer that takes dequantised numbers counts as int8: TensorRT computes both as one.
    """
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    makers = {layer.get_output(i).name: layer.type.name for layer in layers for i in range(layer.num_outputs)}
    found = []
    for layer in layers:
        if layer.type.name not in _NOT_COUNTED:
            tensors = [layer.get_input(0)] if layer.num_inputs else []
            quantised = any(tensor and makers.get(tensor.name) == "DEQUANTIZE" for tensor in tensors)
            spelled = [tensor.dtype.name for tensor in (*tensors, layer.get_output(0)) if tensor]
            found.append((layer.type.name, ["int8"] if quantised else spelled))
    return LayerCount(layers=_count(iter(found)), measured_on="network")


def read_inspection(text: str) -> LayerCount:
    """Count the layers that the engine inspector lists.

    Args:
        text: JSON of the inspector; entries that are no objects, or lack types, are skipped.
    """
    listed = json.loads(text).get("Layers", [])
    return LayerCount(
        layers=_count(
            (_name_type(layer), _list_spellings(layer)) for layer in listed if isinstance(layer, dict)
        ),
        measured_on="engine",
    )


def count_engine(plan: bytes, trt_package: TensorRtPackage, log: Any) -> LayerCount | None:
    """Load a plan and count its layers; return None if it cannot be loaded here or lists no number types.

    TensorRT for RTX loads nothing without a GPU, and finishes the layers on it only later.
    """
    engine = trt_package.module.Runtime(log).deserialize_cuda_engine(plan)
    if engine is None:
        return None
    text = engine.create_engine_inspector().get_engine_information(
        trt_package.module.LayerInformationFormat.JSON
    )
    try:
        count = read_inspection(text)
    except (ValueError, AttributeError):
        return None
    return count if count.layers else None


def _count(found: Iterator[tuple[str, list[str]]]) -> Layers:
    layers: dict[str, Counter[str]] = {}
    for kind, spellings in found:
        precision = next(filter(None, map(_read_spelling, spellings)), None)
        if precision:
            layers.setdefault(kind, Counter())[precision] += 1
    return {kind: dict(count) for kind, count in sorted(layers.items())}


def _read_spelling(text: str) -> str | None:
    lowered = text.lower().replace("uint8", "")
    return next((name for name, signs in _SPELLINGS if any(sign in lowered for sign in signs)), None)


def _name_type(layer: Mapping[str, Any]) -> str:
    return str(layer.get("LayerType", layer.get("ParameterType", "not named")))


def _list_spellings(layer: Mapping[str, Any]) -> list[str]:
    tensors = [*layer.get("Inputs", [])[:1], *layer.get("Outputs", [])[:1]]
    keys = ("Datatype", "DataType", "Format/Datatype", "Format")
    return [
        str(next((tensor[key] for key in keys if key in tensor), ""))
        for tensor in tensors
        if isinstance(tensor, dict)
    ]
