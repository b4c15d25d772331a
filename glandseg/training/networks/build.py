"""The encoders by name: what a settings file may ask for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from glandseg.core.errors import BadInputError
from glandseg.training.networks.encoder import Encoder
from glandseg.training.networks.mobilenetv2 import MobileNetV2
from glandseg.training.networks.resnest import VARIANTS, ResNeSt
from glandseg.training.networks.resnet38 import ResNet38
from glandseg.training.networks.resnet50v2 import ResNet50V2

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "mobilenetv2": MobileNetV2,
    "resnet38": ResNet38,
    "resnet50v2": ResNet50V2,
    **{f"resnest{depth}": partial(ResNeSt, depth) for depth in VARIANTS},
}


def build_encoder(name: str, output_stride: int) -> Encoder:
    """Build an encoder with weights by chance.

    Args:
        name: a key of `ENCODERS`.
        output_stride: of its last stage.

    Raises:
        BadInputError: if there is no such encoder, or not at that stride.
    """
    if name not in ENCODERS:
        raise BadInputError(f"encoder: one of {', '.join(ENCODERS)}. Received: {name}")
    try:
        return ENCODERS[name](output_stride=output_stride)
    except ValueError as error:
        raise BadInputError(f"{name}: {error}") from None
