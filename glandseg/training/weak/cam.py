"""Plain class activation maps (Zhou et al. 2016) with global average pooling: the papers' baseline."""

from __future__ import annotations

from dataclasses import replace

from glandseg.training.classifier_settings import ClassifierSettings
from glandseg.training.networks.encoder import Encoder
from glandseg.training.weak.feng import FUSED_STAGES, Feng


class ClassActivationMaps(Feng):
    """Feng's network without attention, its class map averaged, whatever the settings of either say."""

    def __init__(self, encoder: Encoder, settings: ClassifierSettings) -> None:
        super().__init__(encoder, replace(settings, attention=("none",) * FUSED_STAGES, pooling="gap"))
