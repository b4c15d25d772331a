"""Plain class activation maps (Zhou et al. 2016) with global average pooling: the papers' baseline."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor
from torch.nn.functional import relu

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.loop.precision import widen
from glandseg.training.networks.encoder import Encoder
from glandseg.training.weak.feng import FUSED_STAGES, Feng

TINY = 1e-5  # keeps maps without any evidence at 0


class ClassActivationMaps(Feng):
    """Feng's network without attention, its class map averaged, whatever the settings of either say."""

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, replace(settings, attention=("none",) * FUSED_STAGES, pooling="gap"))


def rectify(class_map: Tensor) -> Tensor:
    """Return the positive part of a (N, c, h, w) class map over its maximum per image and class, in 0..1."""
    positive = relu(widen(class_map))
    return positive / (positive.amax(dim=(2, 3), keepdim=True) + TINY)
