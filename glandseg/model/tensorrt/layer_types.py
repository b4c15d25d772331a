"""How many layers compute in which number type, as the engine tells or, where it does not, its network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glandseg.core.errors import GlandsegError
from glandseg.model.tensorrt.package import TensorRtPackage

# The least share of layers in the number type that was asked for. What fell back has next to none.
LEAST_SHARE = {"float16": 0.25, "int8": 0.1}
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
        layers: how many, by type of layer, then by number type.
        measured_on: "engine", as built and fused, or "network", as read, whose types the engine must keep.
    """

    layers: Layers
    measured_on: str

    def share(self, precision: str) -> float:
        """Give the share of layers that compute in a number type, 0..1."""
        total = sum(sum(kinds.values()) for kinds in self.layers.values())
        return sum(kinds.get(precision, 0) for kinds in self.layers.values()) / max(total, 1)


def check_share(count: LayerCount, precision: str, name: str) -> None:
    """Refuse a network that does not compute in the number type that was asked for.

    Raises:
        GlandsegError: if next to no layer does.
    """
    share, least = count.share(precision), LEAST_SHARE.get(precision, 0.0)
    if share < least:
        raise GlandsegError(
            f"{name}: {precision} was asked for, but {share:.0%} of the layers of its {count.measured_on} "
            f"compute so; at least {least:.0%} must. Not kept. Export the model again."
        )


def describe_doubt(count: LayerCount, precision: str) -> str:
    """Return a warning where the inspector counts few layers in a precision, else nothing.

    Inspectors differ in what they call a type, so their count alone refuses no engine: parity decides.
    """
    share, least = count.share(precision), LEAST_SHARE.get(precision, 0.0)
    if share >= least:
        return ""
    return (
        f"warning: {share:.0%} of the layers of its {count.measured_on} are counted in {precision}, below "
        f"{least:.0%}; the comparison with the CPU decides"
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
        text: its JSON; entries that are no objects, or lack types, are passed over.
    """
    listed = json.loads(text).get("Layers", [])
    return LayerCount(
        layers=_count(
            (_name_type(layer), _list_spellings(layer)) for layer in listed if isinstance(layer, dict)
        ),
        measured_on="engine",
    )


def count_engine(plan: bytes, trt_package: TensorRtPackage, log: Any) -> LayerCount | None:
    """Load a plan and count its layers; none if it cannot be loaded here or lists no number types.

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
