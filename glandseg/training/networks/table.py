"""The encoders, decoders and normalizations by name: all that settings, weights and model cards need to know.

A new network is one new module and one line here. The modules are named, not imported, because settings are
also read where PyTorch is not installed.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glandseg.core.errors import BadInputError
from glandseg.training.validation import refuse_unknown


@dataclass(frozen=True, kw_only=True)
class EncoderEntry:
    """An encoder that settings may name.

    Attributes:
        build: "MODULE:NAME" of a class or function that builds an `Encoder` from `output_stride`.
        arguments: Further keyword arguments of `build`.
        output_strides: Strides of the last stage that it can be built with.
        hub: Hugging Face repository of its ImageNet weights, with the same tensor names; None without one.
        can_freeze: Whether the encoder has a method `freeze`.
        has_last_dilation: Whether `build` takes the `last_dilation` of stage 1, too.
    """

    build: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    output_strides: tuple[int, ...] = (8, 16, 32)
    hub: str | None = None
    can_freeze: bool = False
    has_last_dilation: bool = False


@dataclass(frozen=True, kw_only=True)
class DecoderEntry:
    """A decoder that settings may name.

    Attributes:
        build: "MODULE:NAME" of a `Segmenter` that is built from an encoder and the settings of the head.
        title: Name on the model card.
    """

    build: str
    title: str


_HERE = "glandseg.training.networks"


def _resnest(depth: int, repository: str) -> EncoderEntry:
    return EncoderEntry(build=f"{_HERE}.resnest:ResNeSt", arguments={"depth": depth}, hub=repository)


ENCODERS = {
    "mobilenetv2": EncoderEntry(build=f"{_HERE}.mobilenetv2:MobileNetV2"),
    "resnet38": EncoderEntry(
        build=f"{_HERE}.resnet38:ResNet38",
        output_strides=(8, 16),
        can_freeze=True,
        has_last_dilation=True,
    ),
    "resnet50v2": EncoderEntry(build=f"{_HERE}.resnet50v2:ResNet50V2", output_strides=(8, 16)),
    "resnest50": _resnest(50, "timm/resnest50d.in1k"),
    "resnest101": _resnest(101, "timm/resnest101e.in1k"),
    "resnest200": _resnest(200, "timm/resnest200e.in1k"),
    "resnest269": _resnest(269, "timm/resnest269e.in1k"),
}
NORMALIZATIONS = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "glas": ((0.787, 0.511, 0.785), (0.167, 0.248, 0.131)),  # of its training images, as OEEM states them
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
DECODERS = {"pspnet": DecoderEntry(build=f"{_HERE}.pspnet:PSPNet", title="PSPNet")}


def import_builder(path: str) -> Any:
    """Import what "MODULE:NAME" names."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


def refuse_unfrozen(encoder: str) -> None:
    """Raise unless an encoder, named as in `ENCODERS`, can be frozen."""
    if not ENCODERS[encoder].can_freeze:
        names = ", ".join(name for name, entry in ENCODERS.items() if entry.can_freeze)
        raise BadInputError(f"freeze: for {names}. Received: {encoder}")


def refuse_unknown_encoder(encoder: str | None, freeze: bool | None, output_stride: int) -> None:
    """Raise unless a stage's encoder, None for the run's, is known and can be frozen and strided so."""
    if encoder is not None:
        refuse_unknown("encoder", encoder, ENCODERS)
    if freeze and encoder is not None:
        refuse_unfrozen(encoder)
    strides = {stride for entry in ENCODERS.values() for stride in entry.output_strides}
    refuse_unknown("output_stride", output_stride, sorted(strides))
